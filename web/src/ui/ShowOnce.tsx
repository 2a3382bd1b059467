import { Trans, useLingui } from '@lingui/react/macro'
import { IconDownload } from '@tabler/icons-react'
import { type ReactNode, useState } from 'react'
import { Button } from './Button'
import { CopyButton } from './CopyButton'
import { Confirm } from './Dialog'
import { Field } from './Field'
import { useUnsaved } from './leave'
import { Note } from './Note'

function save(text: string, name: string): void {
  const link = document.createElement('a')
  link.href = URL.createObjectURL(new Blob([`${text}\n`], { type: 'text/plain' }))
  link.download = name
  link.click()
  // The download has its own hold on it once it has begun.
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000)
}

/** A secret that nobody can show again. Leaving is asked about until it is copied, saved, or said to be stored. */
export function ShowOnce(props: {
  /** That it is there. */
  title: ReactNode
  /** What becomes of it, and of whoever loses it. */
  children?: ReactNode
  label: string
  copy: string
  secret: string
  /** The name of the file that it can be saved as. */
  file: string
  onStored: () => void
}) {
  const { t } = useLingui()
  const { secret } = props
  const [kept, setKept] = useState(false)
  const leaving = useUnsaved(!kept)
  const keep = () => setKept(true)
  return (
    <>
      <Note tone="good" title={props.title}>
        {props.children}
      </Note>
      <Field
        label={props.label}
        mono
        readOnly
        value={secret}
        onFocus={(e) => e.target.select()}
        inside={<CopyButton text={secret} label={props.copy} onCopied={keep} />}
      />
      <div className="row">
        <Button
          icon={IconDownload}
          onClick={() => {
            save(secret, props.file)
            keep()
          }}
        >
          <Trans>Save as a file</Trans>
        </Button>
        <Button onClick={props.onStored}>
          <Trans>It is stored</Trans>
        </Button>
      </div>
      <Confirm
        title={t`Go on without it?`}
        verb={t`Go on without it`}
        danger
        open={leaving.asking}
        onConfirm={leaving.go}
        onClose={leaving.stay}
      >
        <Trans>It is neither copied nor saved, and it is not shown again.</Trans>
      </Confirm>
    </>
  )
}
