import type { ComponentProps, ComponentType, Ref } from 'react'

export type Icon = ComponentType<{ className?: string; stroke?: number; 'aria-hidden'?: boolean }>

/** An outline icon at the one stroke the design uses. Decoration only: the words are always elsewhere. */
export function Glyph({ icon: Shape, small }: { icon: Icon; small?: boolean }) {
  return <Shape className={small ? 'icon small' : 'icon'} stroke={small ? 1.75 : 1.6} aria-hidden />
}

type ButtonProps = ComponentProps<'button'> & {
  look?: 'default' | 'primary' | 'quiet' | 'danger' | 'danger-solid'
  size?: 'small' | 'large'
  wide?: boolean
  icon?: Icon
}

export function Button({ look = 'default', size, wide, icon, className, children, ...rest }: ButtonProps) {
  const classes = ['btn', look !== 'default' && look, size, wide && 'wide', className].filter(Boolean).join(' ')
  return (
    <button type="button" className={classes} {...rest}>
      {icon && <Glyph icon={icon} />}
      {children}
    </button>
  )
}

type IconButtonProps = Omit<ComponentProps<'button'>, 'children'> & {
  /** The accessible name; `Tips` shows it to a mouse that rests on it. */
  label: string
  icon: Icon
  small?: boolean
  ref?: Ref<HTMLButtonElement>
}

export function IconButton({ label, icon, small, className, ref, ...rest }: IconButtonProps) {
  return (
    <button type="button" ref={ref} aria-label={label} className={`icon-btn ${className ?? ''}`} {...rest}>
      <Glyph icon={icon} small={small} />
    </button>
  )
}
