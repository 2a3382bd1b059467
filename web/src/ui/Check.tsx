import { type ReactNode, useId } from 'react'

interface Props {
  label: ReactNode
  help?: ReactNode
  checked: boolean
  disabled?: boolean
  onChange: (checked: boolean) => void
}

/** A setting that is on or off: its name and what it means on the left, the switch on the right. */
export function Switch({ label, help, checked, disabled, onChange }: Props) {
  const id = useId()
  return (
    <div className="switch-row">
      <div>
        <label htmlFor={id}>{label}</label>
        {help && (
          <div id={`${id}-help`} className="field-help">
            {help}
          </div>
        )}
      </div>
      <input
        id={id}
        type="checkbox"
        role="switch"
        className="switch"
        aria-checked={checked}
        aria-describedby={help ? `${id}-help` : undefined}
        checked={checked}
        disabled={disabled}
        onChange={(e) => onChange(e.target.checked)}
      />
    </div>
  )
}

/** One of several that can be ticked, with a quiet second line. */
export function Check({ label, help, checked, disabled, onChange }: Props) {
  const id = useId()
  return (
    <div className="check-row">
      <input
        id={id}
        type="checkbox"
        className="check"
        aria-describedby={help ? `${id}-help` : undefined}
        checked={checked}
        disabled={disabled}
        onChange={(e) => onChange(e.target.checked)}
      />
      <label htmlFor={id}>
        {label}
        {help && <small id={`${id}-help`}>{help}</small>}
      </label>
    </div>
  )
}
