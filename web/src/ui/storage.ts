// Storage that never throws: private windows and full disks are no reason for a page to fail. What is kept in the tab
// outlives a reload of it, and no other tab knows it.

export function readStored<T>(key: string, inTab = false): T | undefined {
  try {
    const text = (inTab ? sessionStorage : localStorage).getItem(key)
    return text === null ? undefined : (JSON.parse(text) as T)
  } catch {
    return undefined
  }
}

export function writeStored(key: string, value: unknown, inTab = false): void {
  try {
    const storage = inTab ? sessionStorage : localStorage
    if (value === undefined) storage.removeItem(key)
    else storage.setItem(key, JSON.stringify(value))
  } catch {
    // Nothing to do: what is on the screen is still right.
  }
}
