// What opens over a page: fetched when the first page is idle, or when the first of them is opened.
import { Drawer, Menu, Modal, Popover, Tooltip } from '@mantine/core'
import { useEffect, useState } from 'react'
import { Mantine } from './Mantine'

export { Drawer, Mantine, Menu, Modal, Popover }

/** The names of icon buttons, for a mouse that rests on one. One for the whole page, so that a button costs nothing. */
export function Tips() {
  const [tip, setTip] = useState<{ at: HTMLElement; label: string }>()
  useEffect(() => {
    let under: HTMLElement | null = null
    let timer: ReturnType<typeof setTimeout> | undefined
    const hide = () => {
      clearTimeout(timer)
      setTip(undefined)
    }
    const onPointer = (e: PointerEvent) => {
      const target = e.pointerType === 'mouse' && e.target instanceof Element ? e.target : null
      const at = target?.closest<HTMLElement>('.icon-btn') ?? null
      if (at === under) return
      hide()
      under = at
      const label = at?.getAttribute('aria-label')
      if (at && label) timer = setTimeout(() => at.isConnected && setTip({ at, label }), 400)
    }
    const listening = new AbortController()
    const { signal } = listening
    document.addEventListener('pointerover', onPointer, { signal })
    for (const type of ['pointerdown', 'keydown', 'scroll', 'pointerleave'])
      document.documentElement.addEventListener(type, hide, { signal, capture: type === 'scroll' })
    return () => {
      listening.abort()
      clearTimeout(timer)
    }
  }, [])
  if (!tip) return null
  return (
    <Mantine>
      <Tooltip target={tip.at} label={tip.label} opened withinPortal />
    </Mantine>
  )
}
