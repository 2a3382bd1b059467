import { useLingui } from '@lingui/react/macro'
import { IconCheck, IconCopy } from '@tabler/icons-react'
import { useEffect, useState } from 'react'
import { IconButton } from './Button'
import { copyText } from './clipboard'

/** Copies a text and says so for a moment. */
export function CopyButton({
  text,
  label,
  className,
  onCopied,
}: {
  text: string | (() => string)
  label: string
  className?: string
  onCopied?: () => void
}) {
  const { t } = useLingui()
  const [copied, setCopied] = useState(false)
  useEffect(() => {
    if (!copied) return
    const timer = setTimeout(() => setCopied(false), 1_600)
    return () => clearTimeout(timer)
  }, [copied])
  return (
    <IconButton
      label={copied ? t`Copied` : label}
      icon={copied ? IconCheck : IconCopy}
      small
      className={className}
      onClick={async () => {
        const done = await copyText(typeof text === 'function' ? text() : text)
        setCopied(done)
        if (done) onCopied?.()
      }}
    />
  )
}
