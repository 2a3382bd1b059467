// The buttons that open something over the page. The buttons are there at once; what they open is fetched.
import {
  type ComponentProps,
  cloneElement,
  type ReactElement,
  type ReactNode,
  type Ref,
  type RefObject,
  useEffect,
  useId,
  useLayoutEffect,
  useRef,
  useState,
} from 'react'

type Part = typeof import('./overlay-part')

let loaded: Part | undefined

async function load(): Promise<Part> {
  loaded ??= await import('./overlay-part')
  return loaded
}

/**
 * Mantine's parts for what opens over the page: undefined until it was open once and they are fetched, and there from then
 * on. A failure is tried again with the next opening.
 */
export function useOverlays(open: boolean): Part | undefined {
  const [wanted, setWanted] = useState(open)
  if (open && !wanted) setWanted(true)
  const [part, setPart] = useState(() => loaded)
  useEffect(() => {
    if (part || !open) return
    void load().then(
      (it) => setPart(it),
      () => {},
    )
  }, [part, open])
  return wanted ? part : undefined
}

/** The names of icon buttons, from when a mouse first moves over the page. */
export function LazyTips() {
  const [mouse, setMouse] = useState(false)
  useEffect(() => {
    const onPointer = (e: PointerEvent) => e.pointerType === 'mouse' && setMouse(true)
    document.addEventListener('pointermove', onPointer)
    return () => document.removeEventListener('pointermove', onPointer)
  }, [])
  const part = useOverlays(mouse)
  return part ? <part.Tips /> : null
}

/** Is where a button is, for what opens from it. The button itself stays in its place in the page. */
function Anchor({ ref, button }: { ref?: Ref<HTMLElement>; button: RefObject<HTMLElement | null> }) {
  useLayoutEffect(() => {
    if (typeof ref !== 'function') return
    const forget = ref(button.current)
    return () => (typeof forget === 'function' ? forget() : void ref(null))
  }, [ref, button])
  return null
}

type ButtonElement = ReactElement<ComponentProps<'button'>>

interface Opened {
  id: string
  button: RefObject<HTMLButtonElement | null>
  element: ButtonElement
  /** Undefined until it was opened for the first time. */
  part: Part | undefined
  shown: boolean
}

/** What a menu and a popover have in common: a button that says what it opens, and when. */
function useOpener(element: ButtonElement, open: boolean, kind: 'menu' | 'dialog'): Opened {
  const id = useId()
  const button = useRef<HTMLButtonElement>(null)
  const part = useOverlays(open)
  // It is there closed before it opens, and so knows where the focus was.
  const [shown, setShown] = useState(false)
  useEffect(() => setShown(open && !!part), [open, part])
  return {
    id,
    button,
    element: cloneElement(element, {
      ref: button,
      id: `${id}-target`,
      'aria-haspopup': kind,
      'aria-expanded': open,
      'aria-controls': shown ? `${id}-dropdown` : undefined,
    }),
    part,
    shown,
  }
}

/** A button that opens a menu. Its items are made of the Menu that they are given. */
export function MenuButton(props: {
  button: ButtonElement
  children: (menu: Part['Menu']) => ReactNode
  position?: 'bottom-end' | 'top-start'
  width?: 'target'
}) {
  const [open, setOpen] = useState(false)
  const { button, id, part, shown, element } = useOpener(props.button, open, 'menu')
  return (
    <>
      {cloneElement(element, {
        onClick: () => setOpen(!open),
        onKeyDown: (e) => {
          if (e.key !== 'ArrowDown') return
          e.preventDefault()
          setOpen(true)
        },
      })}
      {part && (
        <part.Mantine>
          <part.Menu
            id={id}
            opened={shown}
            onChange={setOpen}
            position={props.position ?? 'bottom-end'}
            width={props.width}
            offset={4}
            withinPortal
            transitionProps={{ duration: 160 }}
            withInitialFocusPlaceholder={false}
          >
            <part.Menu.Target>
              <Anchor button={button} />
            </part.Menu.Target>
            <part.Menu.Dropdown>{props.children(part.Menu)}</part.Menu.Dropdown>
          </part.Menu>
        </part.Mantine>
      )}
    </>
  )
}

/** What a button opens beside itself. */
export function PopoverButton(props: {
  label: string
  open: boolean
  onOpen: (open: boolean) => void
  button: ButtonElement
  children: ReactNode
  width: number
  position: 'bottom-start' | 'bottom-end' | 'top-end'
  className?: string
}) {
  const { button, id, part, shown, element } = useOpener(props.button, props.open, 'dialog')
  return (
    <>
      {element}
      {part && (
        <part.Mantine>
          <part.Popover
            id={id}
            opened={shown}
            onChange={props.onOpen}
            width={props.width}
            position={props.position}
            offset={6}
            transitionProps={{ duration: 160, transition: 'pop' }}
            trapFocus
            returnFocus
            middlewares={{ shift: true, flip: true, size: false }}
          >
            <part.Popover.Target>
              <Anchor button={button} />
            </part.Popover.Target>
            <part.Popover.Dropdown aria-label={props.label} className={props.className}>
              {props.children}
            </part.Popover.Dropdown>
          </part.Popover>
        </part.Mantine>
      )}
    </>
  )
}
