import { useLingui } from '@lingui/react/macro'
import { IconX } from '@tabler/icons-react'
import { useMutation, useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { post } from '../api/client'
import { apiKeysQuery, modelsQuery, queryClient } from '../api/queries'
import type { BudgetPeriod, NewApiKey } from '../api/types'
import { Button } from '../ui/Button'
import { useAmountError, usePerPeriod } from '../ui/budgets'
import { FormDialog } from '../ui/Dialog'
import { useErrorText } from '../ui/errors'
import { Field, SelectField } from '../ui/Field'
import { useFormat } from '../ui/format'
import { readMoney } from '../ui/money'

const day = 24 * 60 * 60 * 1000

/** Asks what a new key may do, and makes it. */
export function KeyDialog({ onMade, onClose }: { onMade: (key: NewApiKey) => void; onClose: () => void }) {
  const { t } = useLingui()
  const f = useFormat()
  const per = usePerPeriod()
  const errorText = useErrorText()
  const amountError = useAmountError()
  const { data: all } = useQuery(modelsQuery)
  const [name, setName] = useState('')
  const [days, setDays] = useState('0')
  const [models, setModels] = useState<string[]>([])
  const [limit, setLimit] = useState('')
  const [period, setPeriod] = useState<BudgetPeriod>('month')
  const [tried, setTried] = useState(false)
  const amount = limit.trim() ? readMoney(limit, f.locale) : ''
  const make = useMutation({
    mutationFn: () =>
      post<NewApiKey>('/api-keys', {
        name: name.trim(),
        models,
        expires_at: days === '0' ? null : new Date(Date.now() + Number(days) * day).toISOString(),
        ...(amount ? { budget: { limit: amount, period } } : {}),
      }),
    onSuccess: async (key) => {
      onMade(key)
      await queryClient.invalidateQueries({ queryKey: apiKeysQuery.queryKey })
      onClose()
    },
  })
  const submit = () => {
    setTried(true)
    if (name.trim() && amount !== null) make.mutate()
  }
  const free = all?.filter((m) => !m.refused && m.prompt_price !== null && !models.includes(m.id)) ?? []
  return (
    <FormDialog
      title={t`Make a key`}
      verb={t`Make`}
      open
      busy={make.isPending}
      error={make.error ? errorText(make.error) : null}
      onSubmit={submit}
      onClose={onClose}
    >
      <Field
        label={t({ message: 'Name', context: 'of an API key' })}
        data-autofocus
        autoComplete="off"
        maxLength={100}
        placeholder={t`For example: editor on my laptop`}
        value={name}
        onChange={(e) => setName(e.target.value)}
        error={tried && !name.trim() ? t`Give the key a name.` : null}
      />
      <SelectField
        label={t`Expires`}
        value={days}
        onChange={setDays}
        options={[
          { value: '0', label: t`Never` },
          { value: '30', label: t`In 30 days` },
          { value: '90', label: t`In 90 days` },
          { value: '365', label: t`In a year` },
        ]}
      />
      <SelectField
        label={t`Models`}
        value=""
        onChange={(id) => id && setModels([...models, id])}
        options={[
          { value: '', label: models.length ? t`Add another model` : t`All models` },
          ...free.map((m) => ({ value: m.id, label: m.name })),
        ]}
      />
      {models.length > 0 && (
        <div className="key-models">
          {models.map((id) => (
            <Button
              key={id}
              size="small"
              icon={IconX}
              aria-label={t`Leave out ${id}`}
              onClick={() => setModels(models.filter((m) => m !== id))}
            >
              {id}
            </Button>
          ))}
        </div>
      )}
      <Field
        label={t`Budget, USD`}
        inputMode="decimal"
        autoComplete="off"
        placeholder={t`No limit of its own`}
        value={limit}
        onChange={(e) => setLimit(e.target.value)}
        error={tried && amount === null ? amountError(limit) : null}
      />
      {limit.trim() && (
        <SelectField
          label={t`Budget period`}
          value={period}
          onChange={(value) => setPeriod(value as BudgetPeriod)}
          options={(['day', 'week', 'month'] as const).map((value) => ({ value, label: per(value) }))}
        />
      )}
    </FormDialog>
  )
}
