// The colour scheme: what was chosen, kept as plain text, where the script that runs before the first paint reads it too.
import { useState } from 'react'

export type Scheme = 'light' | 'dark' | 'auto'

const key = 'mai.theme'
const systemDark = window.matchMedia('(prefers-color-scheme: dark)')

function chosen(): Scheme {
  try {
    const kept = localStorage.getItem(key)
    return kept === 'light' || kept === 'dark' ? kept : 'auto'
  } catch {
    return 'auto'
  }
}

function show(scheme: Scheme): void {
  const dark = scheme === 'dark' || (scheme === 'auto' && systemDark.matches)
  document.documentElement.dataset.mantineColorScheme = dark ? 'dark' : 'light'
}

/** Keeps the page in step with the system's scheme, and with a choice made in another tab. */
export function followScheme(): void {
  systemDark.addEventListener('change', () => show(chosen()))
  window.addEventListener('storage', (e) => {
    if (e.key === key) show(chosen())
  })
}

/** What was chosen, and how to choose. */
export function useScheme(): [Scheme, (scheme: Scheme) => void] {
  const [scheme, setScheme] = useState(chosen)
  const choose = (next: Scheme) => {
    try {
      localStorage.setItem(key, next)
    } catch {
      // Without storage the choice lasts as long as the page.
    }
    setScheme(next)
    show(next)
  }
  return [scheme, choose]
}
