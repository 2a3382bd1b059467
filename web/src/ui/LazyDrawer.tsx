import type { DrawerProps } from '@mantine/core'
import { type ComponentType, useEffect, useState } from 'react'
import { usePhone } from './phone'

let loaded: ComponentType<DrawerProps> | undefined

async function load(): Promise<ComponentType<DrawerProps>> {
  loaded ??= (await import('./drawer-part')).Drawer
  return loaded
}

/**
 * Mantine's drawer. Only phones have drawers, and nobody opens one before the page is there: it is fetched when a phone's
 * page is idle.
 */
export function LazyDrawer(props: DrawerProps) {
  const phone = usePhone()
  const { opened } = props
  const [Drawer, setDrawer] = useState(() => loaded)
  useEffect(() => {
    if (Drawer || !(phone || opened)) return
    // A failure is tried again with the next opening.
    const fetch = () =>
      void load().then(
        (part) => setDrawer(() => part),
        () => {},
      )
    if (opened || !window.requestIdleCallback) fetch()
    else window.requestIdleCallback(fetch)
  }, [Drawer, phone, opened])
  return Drawer ? <Drawer {...props} /> : null
}
