import { createTheme, MantineProvider } from '@mantine/core'
import type { ReactNode } from 'react'

// Menus and tooltips open inside the page's main landmark, where a screen reader expects content to be.
const inMain = { defaultProps: { portalProps: { target: '#main' } } }
const theme = createTheme({
  fontFamily: 'var(--font)',
  fontFamilyMonospace: 'var(--mono)',
  defaultRadius: 'md',
  cursorType: 'pointer',
  respectReducedMotion: true,
  components: { Menu: inMain, Tooltip: inMain },
})

/**
 * What Mantine's parts need around them. It stands around each of them and not around the page, so that a page is there
 * before Mantine is. Our own style sheets hold the variables, so it writes no style element and the content policy needs
 * no exception; the colour scheme is ours too.
 */
export function Mantine({ children }: { children: ReactNode }) {
  return (
    <MantineProvider theme={theme} withCssVariables={false} withGlobalClasses={false} getRootElement={() => undefined}>
      {children}
    </MantineProvider>
  )
}
