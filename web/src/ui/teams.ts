import { useLingui } from '@lingui/react/macro'

/** The id of the team that people are in until they are moved. */
export const everyone = 'everyone'

type Named = { id: string; name: string }

/** The name of a team as it is shown: that of Everyone is in the language of the page. */
export function useTeamName(): (team: Named) => string {
  const { t } = useLingui()
  return (team) => (team.id === everyone ? t`Everyone` : team.name)
}

/** Teams as the options of a choice. */
export function useTeamOptions(): (teams: Named[]) => { value: string; label: string }[] {
  const teamName = useTeamName()
  return (teams) => teams.map((team) => ({ value: team.id, label: teamName(team) }))
}
