import { type RefObject, useCallback, useEffect, useLayoutEffect, useRef, useState } from 'react'

/** This near to the end counts as the end. */
const nearEnd = 32

/** What a person does. */
const inputs = ['wheel', 'keydown', 'touchstart', 'pointerdown'] as const

/** A row of the thread, and how far below the top of the window it is kept. */
interface Held {
  index: number
  top: number
}

function topOf(scroller: HTMLElement, index: number): number | undefined {
  const row = scroller.querySelector(`.thread-item[data-index="${index}"]`)
  return row ? row.getBoundingClientRect().top - scroller.getBoundingClientRect().top : undefined
}

/**
 * Keeps the thread at its end while the person is there; it begins there. What lets go is what the person does (wheel,
 * key, finger, scroll bar), never a distance: content that grows fast must not be taken for somebody scrolling.
 */
export function useScroll(scroller: RefObject<HTMLElement | null>) {
  const following = useRef(true)
  const held = useRef<Held>(undefined)
  const [away, setAway] = useState(false)

  /** Call it when the content has got another height. */
  const settle = useCallback(() => {
    const el = scroller.current
    if (!el) return
    const top = held.current && topOf(el, held.current.index)
    if (held.current && top !== undefined && Math.abs(top - held.current.top) >= 1)
      el.scrollTop += top - held.current.top
    if (following.current) el.scrollTop = el.scrollHeight
    else setAway(el.scrollHeight - el.scrollTop - el.clientHeight > nearEnd)
  }, [scroller])

  const jump = useCallback(() => {
    following.current = true
    held.current = undefined
    setAway(false)
    settle()
  }, [settle])

  /** Keeps a row where it is until the person does something: what is around it changes while its heights are found out. */
  const hold = useCallback(
    (index: number) => {
      const top = scroller.current ? topOf(scroller.current, index) : undefined
      following.current = false
      held.current = top === undefined ? undefined : { index, top }
    },
    [scroller],
  )

  useLayoutEffect(jump, [jump])

  useEffect(() => {
    const el = scroller.current
    if (!el) return
    let touchY = 0
    let dragging = false
    let last = el.scrollTop
    let lastHeight = el.scrollHeight
    const letGo = () => {
      if (el.scrollHeight > el.clientHeight + 1) following.current = false
    }
    const onWheel = (e: WheelEvent) => {
      if (e.deltaY < 0) letGo()
    }
    const onKey = (e: KeyboardEvent) => {
      if (['ArrowUp', 'PageUp', 'Home'].includes(e.key)) letGo()
    }
    const onTouchStart = (e: TouchEvent) => {
      touchY = e.touches[0]?.clientY ?? 0
    }
    const onTouchMove = (e: TouchEvent) => {
      if ((e.touches[0]?.clientY ?? 0) > touchY + 4) letGo()
    }
    // The scroll bar itself: the press lands on the scroller, not on what it holds.
    const onDown = (e: PointerEvent) => {
      dragging = e.target === el
    }
    const onUp = () => {
      dragging = false
    }
    const onInput = () => {
      held.current = undefined
    }
    const onScroll = () => {
      if (held.current) settle()
      const gap = el.scrollHeight - el.scrollTop - el.clientHeight
      // Moving up without the content getting shorter is never our doing: focus went to something further up, or find did.
      const moved = el.scrollTop < last && gap > nearEnd && el.scrollHeight >= lastHeight
      if (moved || (dragging && el.scrollTop < last)) letGo()
      else if (!held.current && el.scrollTop > last && gap <= nearEnd) following.current = true
      setAway(!following.current && gap > nearEnd)
      last = el.scrollTop
      lastHeight = el.scrollHeight
    }
    // A smaller window (a phone's keyboard) must not hide the end.
    const resized = new ResizeObserver(settle)
    resized.observe(el)
    for (const kind of inputs) window.addEventListener(kind, onInput, { capture: true, passive: true })
    el.addEventListener('wheel', onWheel, { passive: true })
    el.addEventListener('keydown', onKey)
    el.addEventListener('touchstart', onTouchStart, { passive: true })
    el.addEventListener('touchmove', onTouchMove, { passive: true })
    el.addEventListener('pointerdown', onDown)
    window.addEventListener('pointerup', onUp)
    el.addEventListener('scroll', onScroll, { passive: true })
    return () => {
      resized.disconnect()
      for (const kind of inputs) window.removeEventListener(kind, onInput, { capture: true })
      el.removeEventListener('wheel', onWheel)
      el.removeEventListener('keydown', onKey)
      el.removeEventListener('touchstart', onTouchStart)
      el.removeEventListener('touchmove', onTouchMove)
      el.removeEventListener('pointerdown', onDown)
      window.removeEventListener('pointerup', onUp)
      el.removeEventListener('scroll', onScroll)
    }
  }, [scroller, settle])

  return { away, jump, hold, settle }
}
