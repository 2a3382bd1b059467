import { createTheme, type MantineColorSchemeManager } from '@mantine/core'

const accent = [
  '#eff9fd',
  '#d9effa',
  '#b6dff2',
  '#8ac8e4',
  '#63b0d1',
  '#3991b4',
  '#1b7697',
  '#0c5f7c',
  '#074b62',
  '#083546',
] as const

export const theme = createTheme({
  colors: { accent },
  primaryColor: 'accent',
  primaryShade: { light: 7, dark: 3 },
  fontFamily: 'var(--font)',
  fontFamilyMonospace: 'var(--mono)',
  defaultRadius: 'md',
  cursorType: 'pointer',
  respectReducedMotion: true,
  // Menus and tooltips open inside the page's main landmark, where a screen reader expects content to be.
  components: {
    Menu: { defaultProps: { portalProps: { target: '#main' } } },
    Tooltip: { defaultProps: { portalProps: { target: '#main' } } },
  },
})

export type Scheme = 'light' | 'dark' | 'auto'
const key = 'mai.theme'

/** Keeps the scheme as plain text, where the script that runs before the first paint reads it too. */
export const schemeManager: MantineColorSchemeManager = {
  get: (fallback) => {
    try {
      return (localStorage.getItem(key) as Scheme | null) ?? fallback
    } catch {
      return fallback
    }
  },
  set: (value) => {
    try {
      localStorage.setItem(key, value)
    } catch {
      // Without storage the choice lasts as long as the page.
    }
  },
  subscribe: () => {},
  unsubscribe: () => {},
  clear: () => localStorage.removeItem(key),
}
