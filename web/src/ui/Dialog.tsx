import { useLingui } from '@lingui/react/macro'
import { Drawer, Modal, Popover } from '@mantine/core'
import { type FormEvent, type ReactElement, type ReactNode, useEffect, useRef, useState } from 'react'
import { Button } from './Button'
import { usePhone } from './phone'

// What had the focus before the first of the dialogs that followed each other.
let opener: HTMLElement | null = null

/** Gives the focus back to what opened a dialog, also when the dialog is not closed but leaves the page. */
function useFocusReturn(open: boolean): void {
  const was = useRef(false)
  const at = document.activeElement
  if (open && !was.current && at instanceof HTMLElement && !at.closest('[role="dialog"]')) {
    // A menu leaves with its item; what stays is the button of the menu.
    const menu = at.closest('[role="menu"]')?.getAttribute('aria-labelledby')
    opener = (menu && document.getElementById(menu)) || at
  }
  was.current = open
  useEffect(() => {
    if (!open) return
    return () => {
      setTimeout(() => {
        if (document.activeElement === document.body && !document.querySelector('[role="dialog"]'))
          opener?.focus({ preventScroll: true })
      }, 0)
    }
  }, [open])
}

/** A dialog of 440 px; on a phone a sheet from below. The page's own scrolling areas need no lock. */
export function Dialog(props: {
  title: string
  open: boolean
  onClose: () => void
  children: ReactNode
  size?: number
}) {
  useFocusReturn(props.open)
  return (
    <Modal
      opened={props.open}
      onClose={props.onClose}
      title={props.title}
      size={props.size ?? 440}
      centered
      withCloseButton={false}
      lockScroll={false}
      removeScrollProps={{ enabled: false }}
      transitionProps={{ duration: 160, transition: 'fade' }}
      overlayProps={{ backgroundOpacity: 1, color: 'transparent' }}
      classNames={{ inner: 'dialog-inner' }}
    >
      {props.children}
    </Modal>
  )
}

/** Asks before something that cannot be taken back. The verb is in the title and on the button. */
export function Confirm(props: {
  title: string
  verb: string
  open: boolean
  danger?: boolean
  busy?: boolean
  onConfirm: () => void
  onClose: () => void
  children: ReactNode
}) {
  const { t } = useLingui()
  return (
    <Dialog title={props.title} open={props.open} onClose={props.onClose}>
      <div className="t2">{props.children}</div>
      <div className="dialog-actions">
        <Button look="quiet" onClick={props.onClose}>
          {t`Cancel`}
        </Button>
        <Button
          look={props.danger ? 'danger-solid' : 'primary'}
          disabled={props.busy}
          onClick={props.onConfirm}
          data-autofocus
        >
          {props.verb}
        </Button>
      </div>
    </Dialog>
  )
}

/** A small form in a dialog, with its error in place. */
export function FormDialog(props: {
  title: string
  verb: string
  open: boolean
  error?: string | null
  busy?: boolean
  onSubmit: () => void
  onClose: () => void
  children: ReactNode
}) {
  const { t } = useLingui()
  const submit = (e: FormEvent) => {
    e.preventDefault()
    if (!props.busy) props.onSubmit()
  }
  return (
    <Dialog title={props.title} open={props.open} onClose={props.onClose}>
      <form onSubmit={submit} className="stack" noValidate>
        {props.children}
        {props.error && (
          <div className="field-error" role="alert">
            {props.error}
          </div>
        )}
        <div className="dialog-actions" style={{ marginTop: 4 }}>
          <Button look="quiet" onClick={props.onClose}>
            {t`Cancel`}
          </Button>
          <Button look="primary" type="submit" disabled={props.busy}>
            {props.verb}
          </Button>
        </div>
      </form>
    </Dialog>
  )
}

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
          <Drawer
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
          </Drawer>
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
