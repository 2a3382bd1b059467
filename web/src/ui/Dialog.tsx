import { useLingui } from '@lingui/react/macro'
import { type FormEvent, type ReactNode, useEffect, useRef } from 'react'
import { Button } from './Button'
import { useOverlays } from './overlays'

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
  /** Whether it grows downwards from a fixed place while its contents change. */
  fromTop?: boolean
}) {
  useFocusReturn(props.open)
  const part = useOverlays(props.open)
  if (!part) return null
  return (
    <part.Mantine>
      <part.Modal
        opened={props.open}
        onClose={props.onClose}
        title={props.title}
        size={props.size ?? 440}
        centered={!props.fromTop}
        yOffset="15dvh"
        withCloseButton={false}
        lockScroll={false}
        removeScrollProps={{ enabled: false }}
        transitionProps={{ duration: 160, transition: 'fade' }}
        overlayProps={{ backgroundOpacity: 1, color: 'transparent' }}
        classNames={{ inner: 'dialog-inner' }}
      >
        {props.children}
      </part.Modal>
    </part.Mantine>
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
  danger?: boolean
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
          <Button look={props.danger ? 'danger-solid' : 'primary'} type="submit" disabled={props.busy}>
            {props.verb}
          </Button>
        </div>
      </form>
    </Dialog>
  )
}
