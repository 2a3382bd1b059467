/** Copies text. The clipboard API exists only on secure origins, so plain HTTP takes the old way. Reports success. */
export async function copyText(text: string): Promise<boolean> {
  if (navigator.clipboard && window.isSecureContext) {
    try {
      await navigator.clipboard.writeText(text)
      return true
    } catch {
      // Permission may be refused; the old way may still work.
    }
  }
  const area = document.createElement('textarea')
  area.value = text
  area.setAttribute('readonly', '')
  area.style.position = 'fixed'
  area.style.opacity = '0'
  // Inside an open dialog only its own elements may take the focus.
  const focused = document.activeElement as HTMLElement | null
  const home = focused?.closest('[role="dialog"]') ?? document.body
  home.appendChild(area)
  area.select()
  let copied = false
  try {
    copied = document.execCommand('copy')
  } catch {
    copied = false
  }
  area.remove()
  focused?.focus({ preventScroll: true })
  return copied
}
