import type { ComponentProps, ReactElement, ReactNode } from 'react'
import { LazyDrawer } from './LazyDrawer'
import { PopoverButton } from './overlays'
import { usePhone } from './phone'

/** What opens from a button: a popover beside it, on a phone a sheet from below. */
export function PopoverSheet(props: {
  label: string
  open: boolean
  onOpen: (open: boolean) => void
  target: ReactElement<ComponentProps<'button'>>
  children: ReactNode
  width: number
  position?: 'bottom-start' | 'bottom-end' | 'top-end'
  className?: string
}) {
  const phone = usePhone()
  if (phone) {
    return (
      <>
        {props.target}
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
      </>
    )
  }
  return (
    <PopoverButton
      label={props.label}
      open={props.open}
      onOpen={props.onOpen}
      button={props.target}
      width={props.width}
      position={props.position ?? 'bottom-start'}
      className={props.className}
    >
      {props.children}
    </PopoverButton>
  )
}
