import { useLingui } from '@lingui/react/macro'
import { IconAdjustments } from '@tabler/icons-react'
import { useMutation, useQuery } from '@tanstack/react-query'
import { useId, useState } from 'react'
import { put } from '../api/client'
import { queryClient, usageSettingsQuery } from '../api/queries'
import type { UsageSettings } from '../api/types'
import { IconButton } from '../ui/Button'
import { FormDialog } from '../ui/Dialog'
import { useErrorText } from '../ui/errors'
import { Field, SelectField } from '../ui/Field'

function ReadingDialog({ settings, onClose }: { settings: UsageSettings; onClose: () => void }) {
  const { t } = useLingui()
  const errorText = useErrorText()
  const zones = useId()
  const [zone, setZone] = useState(settings.zone)
  const [currency, setCurrency] = useState<string>(settings.currency)
  const save = useMutation({
    mutationFn: () => put<UsageSettings>('/usage/settings', { zone: zone.trim(), currency }),
    onSuccess: async (next) => {
      queryClient.setQueryData(usageSettingsQuery.queryKey, next)
      queryClient.removeQueries({ queryKey: ['usage-rate'] })
      await queryClient.invalidateQueries({ queryKey: ['usage'] })
      onClose()
    },
  })
  return (
    <FormDialog
      title={t`Days and currency`}
      verb={t`Save`}
      open
      busy={save.isPending}
      error={save.error ? errorText(save.error) : null}
      onSubmit={() => save.mutate()}
      onClose={onClose}
    >
      <Field
        label={t`Time zone of the days`}
        data-autofocus
        autoComplete="off"
        list={zones}
        value={zone}
        onChange={(e) => setZone(e.target.value)}
        help={t`For everybody here. Billing months and budgets stay in UTC.`}
      />
      <datalist id={zones}>
        {['UTC', ...Intl.supportedValuesOf('timeZone')].map((name) => (
          <option key={name} value={name} />
        ))}
      </datalist>
      <SelectField
        label={t`Currency beside USD`}
        value={currency}
        options={[
          { value: '', label: t`None` },
          { value: 'PLN', label: t`PLN, at the NBP's table A` },
          { value: 'EUR', label: t`EUR, at the ECB's reference rate` },
        ]}
        onChange={setCurrency}
      />
    </FormDialog>
  )
}

/** The way to how the company reads its figures. */
export function ReadingButton() {
  const { t } = useLingui()
  const settings = useQuery(usageSettingsQuery)
  const [open, setOpen] = useState(false)
  return (
    <>
      <IconButton
        label={t`Days and currency`}
        icon={IconAdjustments}
        small
        disabled={!settings.data}
        onClick={() => setOpen(true)}
      />
      {open && settings.data && <ReadingDialog settings={settings.data} onClose={() => setOpen(false)} />}
    </>
  )
}
