import type { DrawerProps } from '@mantine/core'
import { useOverlays } from './overlays'

/** Mantine's drawer, which is there from when it was first opened. */
export function LazyDrawer(props: DrawerProps) {
  const part = useOverlays(props.opened)
  if (!part) return null
  return (
    <part.Mantine>
      <part.Drawer {...props} />
    </part.Mantine>
  )
}
