import { Plural, Trans, useLingui } from '@lingui/react/macro'
import { IconCircleCheck, IconSearch } from '@tabler/icons-react'
import { keepPreviousData, useMutation, useQuery } from '@tanstack/react-query'
import { useEffect, useState } from 'react'
import { ApiError, post, put } from '../api/client'
import { modelsQuery, policyQuery, providersQuery, queryClient } from '../api/queries'
import type { DataPolicy, PolicyEffect, PolicyFields, Provider } from '../api/types'
import { Button, Glyph } from '../ui/Button'
import { Check, Switch } from '../ui/Check'
import { Confirm } from '../ui/Dialog'
import { useErrorText } from '../ui/errors'
import { Segmented } from '../ui/Field'
import { useUnsaved } from '../ui/leave'
import { Note } from '../ui/Note'
import { EEA, eeaCountries, useRegionName } from '../ui/regions'

type Draft = PolicyFields & { everywhere: boolean; everybody: boolean }

const draftOf = (p: PolicyFields): Draft => ({
  no_training: p.no_training,
  zero_retention: p.zero_retention,
  regions: p.regions,
  providers: p.providers,
  everywhere: p.regions.length === 0,
  everybody: p.providers.length === 0,
})

/** What a draft means: lists that are switched off count for nothing. */
const meant = (d: Draft): PolicyFields => ({
  no_training: d.no_training,
  zero_retention: d.zero_retention,
  regions: d.everywhere ? [] : [...d.regions].sort(),
  providers: d.everybody ? [] : [...d.providers].sort(),
})

/** What was not saved when the page was left by the browser's Back, which cannot be held back. */
const draftKey = ['data-policy', 'draft']

const toggled = (list: string[], item: string, on: boolean) => (on ? [...list, item] : list.filter((x) => x !== item))

/** All data centres of the provider are in the places chosen. */
function within(provider: Provider, regions: string[]): boolean {
  const countries = regions.includes(EEA) ? [...regions, ...eeaCountries] : regions
  return provider.datacenters.length > 0 && provider.datacenters.every((c) => countries.includes(c))
}

interface ListProps {
  providers: Provider[]
  draft: Draft
  onChange: (draft: Draft) => void
}

function Places({ providers, draft, onChange }: ListProps) {
  const { t } = useLingui()
  const name = useRegionName()
  const everywhere = [...new Set([...providers.flatMap((p) => p.datacenters), ...draft.regions])]
  const countries = everywhere
    .filter((c) => c !== EEA && !(draft.regions.includes(EEA) && eeaCountries.includes(c)))
    .sort((a, b) => name(a).localeCompare(name(b)))
  return (
    <fieldset className="checks" aria-label={t`Places`}>
      {[EEA, ...countries].map((region) => (
        <Check
          key={region}
          label={name(region)}
          checked={draft.regions.includes(region)}
          onChange={(on) => onChange({ ...draft, regions: toggled(draft.regions, region, on) })}
        />
      ))}
    </fieldset>
  )
}

function Providers({ providers, draft, onChange }: ListProps) {
  const { t, i18n } = useLingui()
  const region = useRegionName()
  const [search, setSearch] = useState('')
  const names = (list: string[]) => new Intl.ListFormat(i18n.locale).format(list.map(region))
  const serves = (p: Provider) => draft.everywhere || within(p, draft.regions)
  const shown = providers
    .filter((p) => `${p.name} ${p.slug}`.toLowerCase().includes(search.trim().toLowerCase()))
    .sort((a, b) => Number(serves(b)) - Number(serves(a)) || a.name.localeCompare(b.name))
  const about = (p: Provider) =>
    [
      p.headquarters && t`Company: ${region(p.headquarters)}`,
      p.datacenters.length > 0 ? t`data centres: ${names(p.datacenters)}` : t`data centres not stated`,
      !serves(p) && p.datacenters.length > 0 && t`not all in the places chosen`,
    ]
      .filter(Boolean)
      .join(' · ')
  return (
    <div>
      <div className="input soft">
        <Glyph icon={IconSearch} small />
        <input
          aria-label={t`Search providers`}
          placeholder={t`Search providers`}
          value={search}
          onChange={(e) => setSearch(e.target.value)}
        />
      </div>
      <fieldset className="checks-list" aria-label={t`Providers`}>
        {shown.map((p) => (
          <Check
            key={p.slug}
            label={p.name}
            help={about(p)}
            checked={draft.providers.includes(p.slug)}
            onChange={(on) => onChange({ ...draft, providers: toggled(draft.providers, p.slug, on) })}
          />
        ))}
        {shown.length === 0 && (
          <p className="t3 sm">
            <Trans>No provider has this name.</Trans>
          </p>
        )}
      </fieldset>
    </div>
  )
}

function Effect({ effect }: { effect: PolicyEffect }) {
  return (
    <>
      <Plural value={effect.models} one="# model can be used" other="# models can be used" />
      {effect.models_refused > 0 && (
        <>
          {', '}
          <Plural value={effect.models_refused} one="# is ruled out" other="# are ruled out" />
        </>
      )}
      {effect.providers > 0 && (
        <>
          {'. '}
          <Plural value={effect.providers} one="# provider is allowed" other="# providers are allowed" />
        </>
      )}
      {'.'}
    </>
  )
}

function PolicyForm({ policy }: { policy: DataPolicy }) {
  const { t } = useLingui()
  const errorText = useErrorText()
  const providers = useQuery(providersQuery)
  const [draft, setDraft] = useState(() => queryClient.getQueryData<Draft>(draftKey) ?? draftOf(policy))
  const fields = meant(draft)
  const incomplete =
    (!draft.everywhere && draft.regions.length === 0) || (!draft.everybody && draft.providers.length === 0)
  const saved = draftOf(policy)
  const changed =
    draft.everywhere !== saved.everywhere ||
    draft.everybody !== saved.everybody ||
    JSON.stringify(fields) !== JSON.stringify(meant(saved))
  const leaving = useUnsaved(changed)
  useEffect(() => {
    if (changed) queryClient.setQueryData(draftKey, draft)
    else queryClient.removeQueries({ queryKey: draftKey })
  }, [changed, draft])
  const save = useMutation({
    mutationFn: () => put<{ policy: DataPolicy; effect: PolicyEffect }>('/data-policy', fields),
    onSuccess: async (reply) => {
      queryClient.setQueryData(policyQuery.queryKey, reply.policy)
      setDraft(draftOf(reply.policy))
      await queryClient.invalidateQueries({ queryKey: modelsQuery.queryKey })
    },
  })
  const effect = useQuery({
    queryKey: ['data-policy', 'check', fields],
    queryFn: () => post<PolicyEffect>('/data-policy/check', fields),
    enabled: changed && !incomplete,
    placeholderData: keepPreviousData,
    retry: false,
    staleTime: 60_000,
  })
  const change = (next: Draft) => {
    setDraft(next)
    save.reset()
  }
  const listsNeeded = !draft.everywhere || !draft.everybody
  const refused = changed && !incomplete && effect.error instanceof ApiError ? errorText(effect.error) : null
  return (
    <form
      className="card panel stack"
      onSubmit={(e) => {
        e.preventDefault()
        if (changed && !incomplete && !save.isPending) save.mutate()
      }}
    >
      <div>
        <h2>
          <Trans>Data policy</Trans>
        </h2>
        <p className="sm t2" style={{ marginTop: 4 }}>
          <Trans>
            What a provider of models must promise to get anything that is written here: chats, their titles, and what
            is sent with an API key. Every request carries these conditions, and OpenRouter routes by them.
          </Trans>
        </p>
      </div>
      <Switch
        label={t`No training on our data`}
        help={t`Only providers that neither train on what they get nor keep it for that.`}
        checked={draft.no_training}
        onChange={(no_training) => change({ ...draft, no_training })}
      />
      <Switch
        label={t`Zero-retention providers only`}
        help={t`Only offers that keep nothing once the answer is sent. Fewer models have one.`}
        checked={draft.zero_retention}
        onChange={(zero_retention) => change({ ...draft, zero_retention })}
      />
      <div className="part">
        <div className="split">
          <span className="field-label">
            <Trans>Where data is processed</Trans>
          </span>
          <Segmented
            label={t`Where data is processed`}
            value={draft.everywhere ? 'all' : 'some'}
            options={[
              { value: 'all', label: t`Anywhere` },
              { value: 'some', label: t`Chosen places` },
            ]}
            onChange={(value) => change({ ...draft, everywhere: value === 'all' })}
          />
        </div>
        {!draft.everywhere && (
          <>
            {providers.data && <Places providers={providers.data} draft={draft} onChange={change} />}
            <div className="field-help">
              <Trans>
                Guaranteed: only providers whose data centres are all in the places chosen. One that does not say where
                they are is not used. Not covered: where a provider's company sits, and OpenRouter itself, a company in
                the USA that passes every request on.
              </Trans>
            </div>
          </>
        )}
      </div>
      <div className="part">
        <div className="split">
          <span className="field-label">
            <Trans>Providers</Trans>
          </span>
          <Segmented
            label={t`Providers allowed`}
            value={draft.everybody ? 'all' : 'some'}
            options={[
              { value: 'all', label: t`All` },
              { value: 'some', label: t`Only chosen` },
            ]}
            onChange={(value) => change({ ...draft, everybody: value === 'all' })}
          />
        </div>
        {!draft.everybody && providers.data && <Providers providers={providers.data} draft={draft} onChange={change} />}
      </div>
      {listsNeeded && providers.error && <Note tone="bad">{errorText(providers.error)}</Note>}
      {(save.error || refused) && <Note tone="bad">{save.error ? errorText(save.error) : refused}</Note>}
      <div className={changed ? 'row policy-foot changed' : 'row policy-foot'}>
        <div role="status" className="sm t2 tn space">
          {save.data && !changed ? (
            <span className="row saved">
              <Glyph icon={IconCircleCheck} />
              <span>
                <Trans>Saved. It applies from the next message on.</Trans> <Effect effect={save.data.effect} />
              </span>
            </span>
          ) : (
            changed && (
              <>
                <b className="strong">
                  <Trans>Not saved yet.</Trans>
                </b>{' '}
                {incomplete ? (
                  <Trans>Choose at least one.</Trans>
                ) : (
                  !refused && effect.data && <Effect effect={effect.data} />
                )}
              </>
            )
          )}
        </div>
        {changed && (
          <>
            <Button look="quiet" disabled={save.isPending} onClick={() => change(draftOf(policy))}>
              <Trans>Discard</Trans>
            </Button>
            <Button look="primary" type="submit" disabled={incomplete || save.isPending || !!refused}>
              {save.isPending ? <Trans>Saving…</Trans> : <Trans>Save policy</Trans>}
            </Button>
          </>
        )}
      </div>
      <Confirm
        title={t`Leave without saving?`}
        verb={t`Leave`}
        danger
        open={leaving.asking}
        onConfirm={() => {
          queryClient.removeQueries({ queryKey: draftKey })
          leaving.go()
        }}
        onClose={leaving.stay}
      >
        <Trans>The data policy is changed and not saved. What you changed is lost.</Trans>
      </Confirm>
    </form>
  )
}

/** Who may get to see what people write, decided by an admin. */
export function DataPolicyCard() {
  const errorText = useErrorText()
  const { data, error } = useQuery(policyQuery)
  if (data) return <PolicyForm policy={data} />
  return error ? <Note tone="bad">{errorText(error)}</Note> : null
}
