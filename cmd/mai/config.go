package main

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"filippo.io/age"
	"github.com/spf13/pflag"

	"mai/internal/backup"
	"mai/internal/money"
	"mai/internal/server"
)

// Config is everything that can be told to an instance from outside. It is read
// once, here, and handed out in pieces: no package reads the environment itself.
type Config struct {
	Addr              string         // where to listen, host:port; ":8080" is every interface
	DataDir           string         // the folder that holds the database, the lock and the socket
	Name              string         // what the workspace calls itself
	Production        bool           // ENV=prod
	SignUp            bool           // whether people may register after the first one
	Locale            string         // "en" or "pl", for people who have not chosen
	LogLevel          slog.Level     // the least severe level that is logged
	BaseURL           string         // OpenRouter's API, without a trailing slash
	APIKey            string         // the key from the environment or from APIKeyFile; "" when there is none
	APIKeyFile        string         // set: the connection is managed from outside and the file is read again when it changes
	SecretFile        string         // the key that seals secrets in the database
	ProviderTokenFile string         // "" or the file with what the provider's tool presents for the summary
	SetupToken        string         // "" or what the first registration must present
	SetupTokenFile    string         // "" or the file that SetupToken is read from
	MarkupBP          int64          // charge = cost × MarkupBP / 10000
	TrustedProxies    []netip.Prefix // whose X-Forwarded headers are believed
	TimeZone          *time.Location // the days that charts show; billing is in UTC
	DrainTimeout      time.Duration  // how long a stopping server lets open streams finish
	MinFreeDisk       int64          // bytes; below this no new paid call is accepted
	BackupDir         string         // the folder of the backups
	BackupEvery       time.Duration  // how often one is made; 0: only when asked
	BackupS3          string         // where copies are kept off the host; "" is nowhere
	BackupS3File      string         // the credentials for it
	OffHost           *backup.S3     // both, as package backup takes them; nil is nowhere
	Recipients        []string       // age public keys that backups are encrypted to
	ProviderRecipient string         // the provider's, which an admin of the client may add
	CrashAt           string         // "" or the crash point at which the process kills itself, for tests
	CrashHit          int            // at which pass of that point, from 1
	ClockFile         string         // "" or a file with what the wall clock is ahead, for tests
	LimitsOver        int64          // by what the time limits of connections are divided, for tests

	effective []effective
}

// source says who decided a setting.
type source string

const (
	fromDefault     source = "default"
	fromEnvironment source = "environment"
	fromFlag        source = "flag"
	fromFile        source = "file"
)

// effective is one setting as it is in force, fit to be shown: a secret's value
// is only "set" or "not set".
type effective struct {
	Name    string `json:"name"`
	Value   string `json:"value"`
	Source  source `json:"source"`
	From    string `json:"from,omitempty"` // the flag, variable or file that gave the value
	Allowed string `json:"allowed"`
}

// trueOrFalse marks the settings whose flag may stand without a value.
const trueOrFalse = "true or false"

// setting describes one line of the table that settings returns.
type setting struct {
	env     []string // the first is the setting's name, the rest are aliases by falling precedence
	flag    string   // "" for secrets: arguments are visible to every process of the machine
	def     string
	allowed string
	usage   string
	secret  bool
	hidden  bool // a hook for tests: not listed unless set

	// set parses text into c and returns it in canonical form; false refuses it.
	set func(c *Config, text string) (string, bool)
}

// settings is the one list of what can be set: flags, variables, help, errors
// and `mai config` all come from it.
func settings() []setting {
	return slices.Concat(serverSettings(), connectionSettings(), backupSettings(), operationSettings())
}

func serverSettings() []setting {
	return []setting{
		{env: []string{"MAI_ADDR", "PORT"}, flag: "addr", def: ":8080",
			allowed: "host:port, :port or a port from 0 to 65535 (0 picks a free one)",
			usage:   "address to listen on", set: setAddr},
		{env: []string{"DATA_DIR"}, flag: "data", def: "./data",
			allowed: "a folder", usage: "folder of the database",
			set: func(c *Config, s string) (string, bool) { c.DataDir = filepath.Clean(s); return c.DataDir, s != "" }},
		{env: []string{"WEBUI_NAME"}, flag: "name", def: "mAI",
			allowed: "1 to 80 characters on one line", usage: "name of the workspace", set: setName},
		{env: []string{"ENV"}, flag: "env", def: "prod", allowed: "dev or prod", usage: "kind of installation",
			set: func(c *Config, s string) (string, bool) {
				c.Production = s == "prod"
				return s, s == "prod" || s == "dev"
			}},
		{env: []string{"ENABLE_SIGNUP"}, flag: "enable-signup", def: "false", allowed: trueOrFalse,
			usage: "let people register after the first one, who becomes admin in any case", set: setSignUp},
		{env: []string{"MAI_SETUP_TOKEN"}, allowed: "letters, digits and signs without a space", secret: true,
			usage: "what the first registration must present",
			set:   func(c *Config, s string) (string, bool) { c.SetupToken = s; return s, oneWord(s) }},
		{env: []string{"MAI_SETUP_TOKEN_FILE"}, flag: "setup-token-file",
			allowed: "a file that holds one word", usage: "file of what the first registration must present; outranks MAI_SETUP_TOKEN, which others can see",
			set: func(c *Config, s string) (string, bool) { c.SetupTokenFile = s; return s, s != "" }},
		{env: []string{"MAI_PROVIDER_TOKEN_FILE"}, flag: "provider-token-file",
			allowed: "a file that holds one word of at least 32 characters", usage: "what the provider's tool must present for the summary of spending and health; none is served without it",
			set: func(c *Config, s string) (string, bool) { c.ProviderTokenFile = s; return s, s != "" }},
		{env: []string{"DEFAULT_LOCALE"}, flag: "locale", def: "en", allowed: "en or pl",
			usage: "language for people who have not chosen one", set: setLocale},
		{env: []string{"MAI_TIME_ZONE"}, flag: "time-zone", def: "UTC", allowed: "a time zone such as Europe/Warsaw",
			usage: "whose days charts show (billing is in UTC)", set: setTimeZone},
		{env: []string{"MAI_TRUSTED_PROXIES"}, flag: "trusted-proxies",
			allowed: "addresses or networks separated by commas, such as 10.0.0.0/8,192.0.2.7",
			usage:   "proxies whose X-Forwarded headers are believed", set: setTrustedProxies},
	}
}

func connectionSettings() []setting {
	return []setting{
		{env: []string{"OPENROUTER_BASE_URL", "OPENAI_API_BASE_URL"}, flag: "openrouter-base-url",
			def: "https://openrouter.ai/api/v1", allowed: "an http or https address with a host and no password",
			usage: "OpenRouter's API; only seeds an empty database", set: setBaseURL},
		{env: []string{"OPENROUTER_API_KEY", "OPENAI_API_KEY"}, allowed: "one key without a space", secret: true,
			usage: "OpenRouter key; only seeds an empty database",
			set:   func(c *Config, s string) (string, bool) { c.APIKey = s; return s, oneWord(s) }},
		{env: []string{"OPENROUTER_API_KEY_FILE"}, flag: "openrouter-api-key-file",
			allowed: "a file that holds one key", usage: "file of the OpenRouter key; outranks a key in the environment and makes the connection managed",
			set: func(c *Config, s string) (string, bool) { c.APIKeyFile = s; return s, s != "" }},
		{env: []string{"MAI_SECRET_FILE"}, flag: "secret-file",
			allowed: "a file; the default is secret.key in the data folder", usage: "key that seals secrets in the database, made when missing",
			set: func(c *Config, s string) (string, bool) { c.SecretFile = s; return s, s != "" }},
		{env: []string{"MAI_MARKUP"}, flag: "markup", def: "1.3",
			allowed: money.MarkupRule,
			usage:   "charge = cost × markup", set: setMarkup},
	}
}

func backupSettings() []setting {
	return []setting{
		{env: []string{"MAI_BACKUP_DIR"}, flag: "backup-dir",
			allowed: "a folder of this instance alone; the default is backups in the data folder", usage: "where backups are kept",
			set: func(c *Config, s string) (string, bool) { c.BackupDir = filepath.Clean(s); return c.BackupDir, s != "" }},
		{env: []string{"MAI_BACKUP_EVERY"}, flag: "backup-every", def: "1h", allowed: "a duration from 1m to 168h, or 0s for never",
			usage: "how often a backup is made and verified", set: setBackupEvery},
		{env: []string{"MAI_BACKUP_RECIPIENTS"}, flag: "backup-recipients",
			allowed: "age public keys (age1...) separated by commas", usage: "who can open the backups; without one they are not encrypted and do not hold the sealing key",
			set: setRecipients},
		{env: []string{"MAI_BACKUP_PROVIDER"}, flag: "backup-provider", allowed: "one age public key (age1...)",
			usage: "the provider's key, which an admin may let open the backups", set: func(c *Config, s string) (string, bool) {
				_, err := age.ParseX25519Recipient(s)
				c.ProviderRecipient = s
				return s, err == nil
			}},
		{env: []string{"MAI_BACKUP_S3"}, flag: "backup-s3", allowed: "s3://BUCKET/FOLDER?endpoint=https://HOST&region=REGION, a folder of this instance alone",
			usage: "where each encrypted backup is copied to, off this machine", set: func(c *Config, s string) (string, bool) {
				_, err := backup.ParseS3(s, "")
				c.BackupS3 = s
				return s, err == nil
			}},
		{env: []string{"MAI_BACKUP_S3_CREDENTIALS_FILE"}, flag: "backup-s3-credentials-file", allowed: "a file as the aws command has it: [default], aws_access_key_id = …, aws_secret_access_key = …",
			usage: "what opens that place", set: func(c *Config, s string) (string, bool) { c.BackupS3File = s; return s, s != "" }},
	}
}

func operationSettings() []setting {
	return []setting{
		{env: []string{"LOG_LEVEL"}, flag: "log-level", def: "info", allowed: "debug, info, warn or error",
			usage: "least severe level that is logged", set: setLogLevel},
		{env: []string{"MAI_DRAIN_TIMEOUT"}, flag: "drain-timeout", def: "60s", allowed: "a duration from 0s to 10m, such as 60s",
			usage: "how long a stopping server lets open streams finish", set: setDrainTimeout},
		{env: []string{"MAI_MIN_FREE_DISK"}, flag: "min-free-disk", def: "200MB",
			allowed: "a whole number with kB, MB, GB, KiB, MiB, GiB or nothing for bytes, such as 200MB",
			usage:   "below this much free space no new paid call is accepted", set: setMinFreeDisk},
		{env: []string{"MAI_CRASH_AT"}, hidden: true, allowed: "point or point:n", set: setCrashAt},
		{env: []string{"MAI_CLOCK_FILE"}, hidden: true, allowed: "a file that holds a duration such as -1h, by which the wall clock is ahead",
			set: func(c *Config, s string) (string, bool) { c.ClockFile = s; return s, s != "" }},
		{env: []string{"MAI_LIMITS_OVER"}, hidden: true, allowed: "a whole number from 1 to 10000", set: setLimitsOver},
	}
}

// addFlags gives a command the flags with the given names, or all flags when
// none is named.
func addFlags(fs *pflag.FlagSet, names ...string) {
	for _, s := range settings() {
		if s.flag == "" || len(names) > 0 && !slices.Contains(names, s.flag) {
			continue
		}
		fs.String(s.flag, s.def, fmt.Sprintf("%s: %s [$%s]", s.usage, s.allowed, s.env[0]))
		if s.allowed == trueOrFalse {
			fs.Lookup(s.flag).NoOptDefVal = "true"
		}
	}
}

// loadConfig decides every setting: a flag that was given outranks the
// environment (in os.Environ's form), which outranks the default. An empty
// variable counts as unset. The error names everything that is wrong, at once,
// and never holds a secret.
func loadConfig(fs *pflag.FlagSet, environ []string) (Config, error) {
	env := map[string]string{}
	for _, pair := range environ {
		name, value, _ := strings.Cut(pair, "=")
		env[name] = value
	}
	var c Config
	problems := unknownNames(env)
	for _, s := range settings() {
		if err := c.apply(s, fs, env); err != nil {
			problems = append(problems, err)
		}
	}
	if len(problems) == 0 {
		problems = append(problems, c.complete())
	}
	return c, errors.Join(problems...)
}

// apply finds the text for one setting, parses it, and remembers who gave it.
func (c *Config) apply(s setting, fs *pflag.FlagSet, env map[string]string) error {
	e := effective{Name: s.env[0], Source: fromDefault, Allowed: s.allowed}
	text := s.def
	for _, name := range slices.Backward(s.env) {
		if value := strings.TrimSpace(env[name]); value != "" {
			text, e.Source, e.From = value, fromEnvironment, name
		}
	}
	if f := fs.Lookup(s.flag); f != nil && f.Changed {
		text, e.Source, e.From = strings.TrimSpace(f.Value.String()), fromFlag, "--"+s.flag
	}
	unset := text == "" && s.def == ""
	if !unset {
		canonical, ok := s.set(c, text)
		if !ok {
			return fmt.Errorf("%s is %s; allowed is %s", e.From, shown(s, text), s.allowed)
		}
		e.Value = canonical
	}
	switch {
	case s.secret && unset:
		e.Value = "not set"
	case s.secret:
		e.Value = "set"
	}
	if !s.hidden || !unset {
		c.effective = append(c.effective, e)
	}
	return nil
}

// complete decides what depends on more than one setting.
func (c *Config) complete() error {
	if c.SecretFile == "" {
		c.SecretFile = filepath.Join(c.DataDir, "secret.key")
		c.find("MAI_SECRET_FILE").Value = c.SecretFile
	}
	if c.BackupDir == "" {
		c.BackupDir = filepath.Join(c.DataDir, "backups")
		c.find("MAI_BACKUP_DIR").Value = c.BackupDir
	}
	if c.BackupS3 != "" && c.BackupS3File == "" {
		return errors.New("MAI_BACKUP_S3_CREDENTIALS_FILE is not set, and MAI_BACKUP_S3 needs it: a file that holds the access key")
	}
	if c.BackupS3 != "" {
		var err error
		if c.OffHost, err = backup.ParseS3(c.BackupS3, c.BackupS3File); err != nil {
			return fmt.Errorf("MAI_BACKUP_S3: %w", err)
		}
	}
	if c.ProviderTokenFile != "" {
		if _, err := server.ReadProviderToken(c.ProviderTokenFile); err != nil {
			return fmt.Errorf("MAI_PROVIDER_TOKEN_FILE: %w", err)
		}
	}
	for _, secret := range []struct {
		file string
		into *string
		name string // of the setting that the file outranks
	}{{c.SetupTokenFile, &c.SetupToken, "MAI_SETUP_TOKEN"}, {c.APIKeyFile, &c.APIKey, "OPENROUTER_API_KEY"}} {
		if secret.file == "" {
			continue
		}
		word, err := readSecret(secret.name+"_FILE", secret.file)
		if err != nil {
			return err
		}
		*secret.into = word
		e := c.find(secret.name)
		e.Value, e.Source, e.From = "set", fromFile, secret.file
	}
	return nil
}

// readSecret reads the one word that somebody placed in a file for a setting.
func readSecret(setting, path string) (string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("%s cannot be read: %w", setting, err)
	}
	word := strings.TrimSpace(string(text))
	if !oneWord(word) {
		return "", fmt.Errorf("%s is %q, which holds no single word; allowed is a file with one and nothing else", setting, path)
	}
	return word, nil
}

// site is what the provider is told of the instance beside its books.
func (c *Config) site() server.Site {
	return server.Site{Version: version, DataDir: c.DataDir, Backups: c.BackupDir, MinFree: c.MinFreeDisk}
}

// sourceOf says who decided the setting with this name.
func (c *Config) sourceOf(name string) source { return c.find(name).Source }

func (c *Config) find(name string) *effective {
	i := slices.IndexFunc(c.effective, func(e effective) bool { return e.Name == name })
	if i < 0 {
		return &effective{Source: fromDefault}
	}
	return &c.effective[i]
}

// shown is a refused value as an error may repeat it: no secret, and nothing
// that looks like a key or a password that was put into the wrong variable.
func shown(s setting, text string) string {
	if s.secret || strings.Contains(text, "sk-") || strings.Contains(text, "@") {
		return "(hidden)"
	}
	return fmt.Sprintf("%q", text)
}

// unknownNames refuses MAI_ variables that do not exist: a misspelt one would
// otherwise be a setting that silently has no effect.
func unknownNames(env map[string]string) []error {
	var known, listed []string
	for _, s := range settings() {
		known = append(known, s.env...)
		if !s.hidden {
			listed = append(listed, s.env...)
		}
	}
	var problems []error
	for _, name := range slices.Sorted(maps.Keys(env)) {
		if strings.HasPrefix(name, "MAI_") && !slices.Contains(known, name) {
			problems = append(problems, fmt.Errorf("%s is not a setting; did you mean %s?", name, nearest(name, listed)))
		}
	}
	return problems
}
