import { useLingui } from '@lingui/react/macro'
import { IconX } from '@tabler/icons-react'
import { useEffect, useState } from 'react'
import { IconButton } from './Button'
import { dismissToast, type Toast, useToasts } from './toasts'

const shownFor = 6_000

function ToastRow({ toast }: { toast: Toast }) {
  const { t } = useLingui()
  const [held, setHeld] = useState(false)
  useEffect(() => {
    if (held) return
    const timer = setTimeout(() => dismissToast(toast.id), shownFor)
    return () => clearTimeout(timer)
  }, [held, toast.id])
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: hovering only keeps the toast open longer
    <div
      className="toast"
      onMouseEnter={() => setHeld(true)}
      onMouseLeave={() => setHeld(false)}
      onFocus={() => setHeld(true)}
      onBlur={() => setHeld(false)}
    >
      <span className="space">{toast.text}</span>
      {toast.action && (
        <button
          type="button"
          className="btn quiet small"
          onClick={() => {
            toast.action?.run()
            dismissToast(toast.id)
          }}
        >
          {toast.action.label}
        </button>
      )}
      <IconButton label={t`Dismiss`} icon={IconX} small onClick={() => dismissToast(toast.id)} />
    </div>
  )
}

/** The region where toasts appear, bottom left. */
export function Toasts() {
  const toasts = useToasts()
  return (
    <div className="toasts" role="status">
      {toasts.map((toast) => (
        <ToastRow key={toast.id} toast={toast} />
      ))}
    </div>
  )
}
