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
import { QueryClientProvider } from '@tanstack/react-query'
import { startTransition } from 'react'
import { createRoot } from 'react-dom/client'
import { Router } from 'wouter'
import { whenUnauthenticated } from '../api/client'
import { instanceQuery, meQuery, queryClient } from '../api/queries'
import { prefetchHome } from '../api/session'
import { activate, i18n, pickLocale, preloadCatalogue } from '../ui/i18n'
import { leave } from '../ui/leave'
import { LazyTips } from '../ui/overlays'
import { followScheme } from '../ui/scheme'
import { Toasts } from '../ui/Toasts'
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

  followScheme()
  whenUnauthenticated(() => {
    queryClient.setQueryData(meQuery.queryKey, null)
  })
  const root = createRoot(document.getElementById('root') as HTMLElement)
  // As a transition the first page is made in slices of a few milliseconds, between which the browser can paint and listen.
  startTransition(() =>
    root.render(
      <I18nProvider i18n={i18n}>
        <QueryClientProvider client={queryClient}>
          <Router aroundNav={(navigate, to, options) => leave(to, () => navigate(to, options))}>
            <Pages />
          </Router>
          <Toasts />
          <LazyTips />
        </QueryClientProvider>
      </I18nProvider>,
    ),
  )
}

void start()
