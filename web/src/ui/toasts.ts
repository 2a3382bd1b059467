// Toasts tell what happened elsewhere or can be undone. Never for the error of a form.
import { useSyncExternalStore } from 'react'

export interface Toast {
  id: number
  text: string
  action?: { label: string; run: () => void }
}

let toasts: Toast[] = []
let last = 0
const listeners = new Set<() => void>()

function set(next: Toast[]): void {
  toasts = next
  for (const listener of listeners) listener()
}

export function toast(text: string, action?: Toast['action']): void {
  last += 1
  set([...toasts.slice(-2), { id: last, text, action }])
}

export function dismissToast(id: number): void {
  set(toasts.filter((t) => t.id !== id))
}

const subscribe = (listener: () => void) => {
  listeners.add(listener)
  return () => listeners.delete(listener)
}

export const useToasts = () => useSyncExternalStore(subscribe, () => toasts)
