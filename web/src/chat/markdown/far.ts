import { type CSSProperties, type RefObject, useEffect, useRef, useState } from 'react'

/** An answer with fewer blocks than this is drawn whole. */
const few = 12

/** Blocks further from the window than this leave the page, in pixels: more than what one turn of a wheel brings near. */
const near = 1_400

/** They leave after this long, in milliseconds: by then formulas and code have their height, too. */
const rest = 500

type Rooms = ReadonlyMap<number, CSSProperties>

const nothing: Rooms = new Map()

/** Whether something in an element would be lost if it left the page: the focus, or an end of what is selected. */
function inUse(element: Element): boolean {
  const selection = document.getSelection()
  return (
    element.contains(document.activeElement) ||
    (!!selection && !selection.isCollapsed && selection.containsNode(element, true))
  )
}

/**
 * The blocks of an answer that are far from the window, by their place, with the room that each keeps. A long answer with
 * formulas and code has thousands of elements; only what is near is in the page, as it is with the messages of a chat.
 * The children of box are the blocks.
 */
export function useFar(box: RefObject<HTMLElement | null>, blocks: number): Rooms {
  const [rooms, setRooms] = useState(nothing)
  const observer = useRef<IntersectionObserver | null>(null)
  const long = blocks > few
  useEffect(() => {
    const el = box.current
    if (!el || !long) return
    const far = new Set<Element>()
    let timer: ReturnType<typeof setTimeout> | undefined
    const change = (elements: Iterable<Element>, room: (element: Element) => CSSProperties | undefined) => {
      const children = [...el.children]
      const changes = [...elements].map((element) => [children.indexOf(element), room(element)] as const)
      setRooms((before) => {
        const after = new Map(before)
        for (const [at, its] of changes) {
          if (!its) after.delete(at)
          else if (at >= 0 && !after.has(at)) after.set(at, its)
        }
        return after
      })
    }
    const leave = () => {
      timer = undefined
      change(
        [...far].filter((element) => !inUse(element)),
        (element) => ({ height: element.getBoundingClientRect().height, margin: getComputedStyle(element).margin }),
      )
      far.clear()
    }
    const observe = new IntersectionObserver(
      (entries) => {
        const back = entries.filter((entry) => entry.isIntersecting).map((entry) => entry.target)
        for (const { target, isIntersecting } of entries) {
          if (isIntersecting) far.delete(target)
          else far.add(target)
        }
        if (back.length > 0) change(back, () => undefined)
        if (far.size > 0) timer ??= setTimeout(leave, rest)
      },
      { root: el.closest('.thread'), rootMargin: `${near}px 0px` },
    )
    observer.current = observe
    // At another width everything has another height.
    const drawAll = () => setRooms(nothing)
    window.addEventListener('resize', drawAll)
    return () => {
      clearTimeout(timer)
      observe.disconnect()
      observer.current = null
      window.removeEventListener('resize', drawAll)
      drawAll()
    }
  }, [box, long])
  // A block that leaves or comes back is another element, and new ones come: what is observed already stays so.
  useEffect(() => {
    for (const child of box.current?.children ?? []) observer.current?.observe(child)
  })
  return rooms
}
