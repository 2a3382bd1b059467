/** Up to two letters that stand for a person. */
export function initials(name: string): string {
  const words = name.trim().split(/\s+/).filter(Boolean)
  const first = words[0]?.charAt(0) ?? '?'
  const last = words.length > 1 ? (words[words.length - 1]?.charAt(0) ?? '') : ''
  return (first + last).toUpperCase()
}

/** The letter that stands for a model: of the model's own name, not of its maker's. */
export const modelLetter = (name: string) => (name.split(': ').pop()?.trim().charAt(0) ?? '?').toUpperCase()
