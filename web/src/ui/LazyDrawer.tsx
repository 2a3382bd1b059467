import type { DrawerProps } from '@mantine/core'
import { useState } from 'react'
import { useOverlays } from './overlays'

/** Mantine's drawer, which is there from when it was first opened. */
export function LazyDrawer(props: DrawerProps) {
  const [wanted, setWanted] = useState(props.opened)
  if (props.opened && !wanted) setWanted(true)
  const part = useOverlays(wanted)
  if (!part || !wanted) return null
  return (
    <part.Mantine>
      <part.Drawer {...props} />
    </part.Mantine>
  )
}
