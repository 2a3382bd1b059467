import { Popover } from '@mantine/core'
import { type ReactElement, type ReactNode, useState } from 'react'
import { LazyDrawer } from './LazyDrawer'
import { usePhone } from './phone'

/** What opens from a button: a popover beside it, on a phone a sheet from below. */
export function PopoverSheet(props: {
  label: string
  open: boolean
  onOpen: (open: boolean) => void
  target: ReactElement
  children: ReactNode
  width: number
  position?: 'bottom-start' | 'bottom-end' | 'top-end'
  className?: string
}) {
  const phone = usePhone()
  const [mounted, setMounted] = useState(false)
  if (props.open && !mounted) setMounted(true)
  if (phone) {
    return (
      <>
        {props.target}
        {mounted && (
          <LazyDrawer
            opened={props.open}
            onClose={() => props.onOpen(false)}
            position="bottom"
            withCloseButton={false}
            lockScroll={false}
            removeScrollProps={{ enabled: false }}
            className="sheet"
            transitionProps={{ duration: 240 }}
            overlayProps={{ backgroundOpacity: 1, color: 'transparent' }}
            classNames={{ content: props.className }}
            attributes={{ content: { 'aria-label': props.label } }}
          >
            {props.children}
          </LazyDrawer>
        )}
      </>
    )
  }
  return (
    <Popover
      opened={props.open}
      onChange={props.onOpen}
      width={props.width}
      position={props.position ?? 'bottom-start'}
      offset={6}
      transitionProps={{ duration: 160, transition: 'pop' }}
      trapFocus
      returnFocus
      middlewares={{ shift: true, flip: true, size: false }}
    >
      <Popover.Target>{props.target}</Popover.Target>
      <Popover.Dropdown aria-label={props.label} className={props.className}>
        {props.children}
      </Popover.Dropdown>
    </Popover>
  )
}
