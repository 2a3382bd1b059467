import { useLingui } from '@lingui/react/macro'
import { IconChevronDown, IconEye, IconEyeOff } from '@tabler/icons-react'
import { type ComponentProps, type ReactNode, useId, useState } from 'react'
import { Glyph, IconButton } from './Button'

type FieldProps = ComponentProps<'input'> & {
  label: string
  help?: ReactNode
  error?: string | null
  /** Shows the edge of an error whose sentence stands elsewhere. */
  bad?: boolean
  large?: boolean
  mono?: boolean
  /** Beside the input, in its frame. */
  inside?: ReactNode
  /** Beside the frame. */
  beside?: ReactNode
}

/** A labelled input: label above, help or error below. */
export function Field({ label, help, error, bad, large, mono, inside, beside, id, ...rest }: FieldProps) {
  const own = useId()
  const inputId = id ?? own
  const frame = (
    <div className={['input', large && 'large', mono && 'mono', (error || bad) && 'bad'].filter(Boolean).join(' ')}>
      <input
        id={inputId}
        aria-invalid={error || bad ? true : undefined}
        aria-describedby={error || help ? `${inputId}-note` : undefined}
        {...rest}
      />
      {inside}
    </div>
  )
  return (
    <div className="field">
      <label htmlFor={inputId}>{label}</label>
      {beside ? (
        <div className="row">
          {frame}
          {beside}
        </div>
      ) : (
        frame
      )}
      {(error || help) && (
        <div id={`${inputId}-note`} className={error ? 'field-error' : 'field-help'}>
          {error || help}
        </div>
      )}
    </div>
  )
}

/** A password input that can be shown. */
export function PasswordField(props: FieldProps) {
  const { t } = useLingui()
  const [shown, setShown] = useState(false)
  return (
    <Field
      {...props}
      type={shown ? 'text' : 'password'}
      inside={
        <IconButton
          label={shown ? t`Hide password` : t`Show password`}
          icon={shown ? IconEyeOff : IconEye}
          onClick={() => setShown(!shown)}
        />
      }
    />
  )
}

/** A choice of many: the browser's own list, in the frame of an input. */
export function SelectField(props: {
  label: string
  value: string
  options: { value: string; label: string }[]
  onChange: (value: string) => void
}) {
  const id = useId()
  return (
    <div className="field">
      <label htmlFor={id}>{props.label}</label>
      <div className="input">
        <select id={id} value={props.value} onChange={(e) => props.onChange(e.target.value)}>
          {props.options.map((option) => (
            <option key={option.value} value={option.value}>
              {option.label}
            </option>
          ))}
        </select>
        <Glyph icon={IconChevronDown} small />
      </div>
    </div>
  )
}

/** A choice of a few, as a segmented radio group. Arrow keys move like in any radio group. */
export function Segmented<T extends string>(props: {
  label: string
  value: T
  options: { value: T; label: string }[]
  onChange: (value: T) => void
}) {
  const move = (from: number, step: number, list: HTMLElement) => {
    const next = (from + step + props.options.length) % props.options.length
    const option = props.options[next]
    if (!option) return
    props.onChange(option.value)
    ;(list.children[next] as HTMLElement).focus()
  }
  return (
    <div className="seg" role="radiogroup" aria-label={props.label}>
      {props.options.map((option, index) => (
        // biome-ignore lint/a11y/useSemanticElements: a native radio cannot take this shape in one element
        <button
          key={option.value}
          type="button"
          role="radio"
          aria-checked={option.value === props.value}
          tabIndex={option.value === props.value ? 0 : -1}
          onClick={() => props.onChange(option.value)}
          onKeyDown={(e) => {
            const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[e.key]
            if (!step) return
            e.preventDefault()
            move(index, step, e.currentTarget.parentElement as HTMLElement)
          }}
        >
          {option.label}
        </button>
      ))}
    </div>
  )
}
