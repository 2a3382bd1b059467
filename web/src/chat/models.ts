import type { Message, Model } from '../api/types'
import { priced } from '../ui/refusal'
import { readStored, writeStored } from '../ui/storage'

const key = 'mai.model'

/** A model without a price cannot be metered, and one that the data policy rules out is not served: neither can be chosen. */
export const usable = (model: Model) => priced(model) && !model.refused

/** The name people know a model by: without its maker. */
export function modelName(models: Model[] | undefined, id: string): string {
  const name = models?.find((m) => m.id === id)?.name
  return (name?.split(': ').pop() ?? id.split('/').pop() ?? id) || ''
}

export const rememberModel = (id: string) => writeStored(key, id)

/** The model for the next message: chosen here, else of this chat's last answer, else of the last chat, else the first. */
export function pickModel(models: Model[] | undefined, chosen: string | undefined, path: Message[]): string {
  const last = path.findLast((m) => m.role === 'assistant')?.model
  const known = (id: string | undefined) => id && (!models || models.some((m) => m.id === id && usable(m)))
  for (const id of [chosen, last, readStored<string>(key)]) if (id && known(id)) return id
  return models?.find(usable)?.id ?? ''
}
