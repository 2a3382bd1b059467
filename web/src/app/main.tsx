import '../ui/tokens.css'
import '@mantine/core/styles/UnstyledButton.layer.css'
import '@mantine/core/styles/Overlay.layer.css'
import '@mantine/core/styles/ModalBase.layer.css'
import '@mantine/core/styles/Modal.layer.css'
import '@mantine/core/styles/Drawer.layer.css'
import '@mantine/core/styles/Popover.layer.css'
import '@mantine/core/styles/Menu.layer.css'
import '@mantine/core/styles/Tooltip.layer.css'
import '../ui/base.css'
import '../ui/controls.css'
import '../ui/parts.css'
import '../ui/overlays.css'
import '../ui/shell.css'
import { I18nProvider } from '@lingui/react'
import { MantineProvider } from '@mantine/core'
import { QueryClientProvider } from '@tanstack/react-query'
import { createRoot } from 'react-dom/client'
import { Router } from 'wouter'
import { whenUnauthenticated } from '../api/client'
import { instanceQuery, meQuery, queryClient } from '../api/queries'
import { prefetchHome } from '../api/session'
import { activate, i18n, pickLocale, preloadCatalogue } from '../ui/i18n'
import { leave } from '../ui/leave'
import { Toasts } from '../ui/Toasts'
import { schemeManager, theme } from '../ui/theme'
import { Pages, prefetchPage } from './router'

async function start(): Promise<void> {
  // Everything the first page needs is asked for at once, before React draws anything and before it is known who asks: who
  // may not see it is refused and loses nothing.
  const instance = queryClient.fetchQuery(instanceQuery).catch(() => undefined)
  const me = queryClient.fetchQuery(meQuery).catch(() => undefined)
  const page = prefetchPage(location.pathname).catch(() => {})
  void preloadCatalogue()
  void me.then((person) => {
    if (person && person.role !== 'pending') prefetchHome()
  })
  await activate(pickLocale((await me)?.locale, (await instance)?.locale))
  await page

  whenUnauthenticated(() => {
    queryClient.setQueryData(meQuery.queryKey, null)
  })
  createRoot(document.getElementById('root') as HTMLElement).render(
    <I18nProvider i18n={i18n}>
      <QueryClientProvider client={queryClient}>
        {/* Our own style sheets hold the variables, so Mantine writes no style element and the policy needs no exception. */}
        <MantineProvider
          theme={theme}
          withCssVariables={false}
          withGlobalClasses={false}
          defaultColorScheme="auto"
          colorSchemeManager={schemeManager}
        >
          <Router aroundNav={(navigate, to, options) => leave(to, () => navigate(to, options))}>
            <Pages />
          </Router>
          <Toasts />
        </MantineProvider>
      </QueryClientProvider>
    </I18nProvider>,
  )
}

void start()
