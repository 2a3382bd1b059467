import { Trans, useLingui } from '@lingui/react/macro'
import { Button } from '../ui/Button'
import { Dialog } from '../ui/Dialog'

/** Every shortcut there is, in words. */
export function Shortcuts({ open, onClose }: { open: boolean; onClose: () => void }) {
  const { t } = useLingui()
  const list: [string, string[]][] = [
    [t`Search chats and pages`, ['Ctrl', 'K']],
    [t`New chat`, ['Ctrl', 'Shift', 'O']],
    [t`Send the message`, ['Enter']],
    [t`New line in the message`, ['Shift', 'Enter']],
    [t`Stop the answer, close what is open`, ['Esc']],
    [t`This list`, ['Ctrl', '/']],
  ]
  return (
    <Dialog title={t`Keyboard shortcuts`} open={open} onClose={onClose}>
      <dl className="shortcuts">
        {list.map(([what, keys]) => (
          <div key={what} className="kv">
            <dt>{what}</dt>
            <dd>
              {keys.map((key) => (
                <kbd key={key}>{key}</kbd>
              ))}
            </dd>
          </div>
        ))}
      </dl>
      <div className="dialog-actions">
        <Button onClick={onClose} data-autofocus>
          <Trans>Close</Trans>
        </Button>
      </div>
    </Dialog>
  )
}
