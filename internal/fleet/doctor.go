package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"mai/internal/deploy"
	"mai/internal/fault"
	"mai/internal/sqldb"
	"mai/internal/summary"
)

// Finding is what one check of a client's instance found.
type Finding struct {
	Check string `json:"check"`
	OK    bool   `json:"ok"`
	Found string `json:"found"`
	// Remedy is what to do about it; "" when all is well.
	Remedy string `json:"remedy,omitempty"`
}

// What an instance and its server need.
const (
	leastMemory     = 3500 << 20 // of a server of 4 GB, as the system counts it
	leastFreeMemory = 200 << 20
	leastFreeDisk   = 10 // percent
	mostAhead       = 30 * time.Second
	certificateTime = 14 * 24 * time.Hour
)

// BackupAge is how old the last verified backup of an instance may be before somebody is warned: two of the hourly ones
// were missed.
const BackupAge = 3 * time.Hour

// doctor examines one client.
type doctor struct {
	f        *Fleet
	w        *work
	host     *deploy.Host
	findings []Finding
}

// Doctor checks what can be wrong with a client's instance, from its server to its key, each with a remedy. It changes
// nothing and notes in the audit that somebody looked.
func (f *Fleet) Doctor(ctx context.Context, c Client) (list []Finding, err error) {
	if err := f.needManagement(); err != nil {
		return nil, err
	}
	in, err := f.instanceOf(ctx, c)
	if err != nil {
		return nil, err
	}
	d := &doctor{f: f, w: onClient(c)}
	defer func() { err = errors.Join(err, d.w.leave()) }()
	if err := f.db.Write(ctx, func(tx *sqldb.Tx) error { return f.audit(tx, c.ID, "instance.doctor", "done", c.Instance()) }); err != nil {
		return nil, err
	}
	d.key(ctx)
	_, err = f.machine(ctx, d.w)
	d.check("SSH", err, "its host key is the pinned one", "Start the server at Hetzner, or see to its network; `maictl server show` says where it is.")
	if err != nil {
		return d.findings, nil
	}
	d.host, err = f.host(ctx, d.w)
	d.check("Docker", err, "the engine answers", "Log in and look at `systemctl status docker`; `maictl client deploy "+c.Slug+"` installs it where it is missing.")
	if err != nil {
		return d.findings, nil
	}
	d.machine(ctx)
	d.container(ctx)
	d.secrets(ctx)
	d.network(ctx)
	d.books(ctx, in)
	return d.findings, nil
}

// check notes what came of a check: what was found when err is nil, else what the error says and what to do.
func (d *doctor) check(name string, err error, found, remedy string) {
	finding := Finding{Check: name, OK: err == nil, Found: found}
	if err != nil {
		finding.Found, finding.Remedy = fault.Message(err), remedy
	}
	d.findings = append(d.findings, finding)
}

// unless is an error for a person when something is not as it has to be.
func unless(ok bool, format string, args ...any) error {
	if ok {
		return nil
	}
	return fault.New(fault.Unavailable, "%s", fmt.Sprintf(format, args...))
}

// key checks the client's OpenRouter key.
func (d *doctor) key(ctx context.Context) {
	rotate := "Make a new one: `maictl client rotate-key " + d.w.Slug + "`."
	_, secret, err := d.f.Secret(ctx, d.w.Client)
	if err == nil {
		err = unless(strings.HasPrefix(secret, "sk-or-v1-"), "It does not begin with sk-or-v1-.")
	}
	d.check("Key", err, "it begins with sk-or-v1-", rotate)
	if err != nil {
		return
	}
	d.check("Base URL", unless(strings.HasPrefix(d.f.baseURL, "https://"), "%s is not encrypted.", d.f.baseURL), d.f.baseURL,
		"Set OPENROUTER_BASE_URL to https://openrouter.ai/api/v1, or to nothing, and run `maictl resume`.")
	usage, err := d.f.KeyUsage(ctx, secret)
	d.check("Key at OpenRouter", err, "it is accepted", rotate)
	if err != nil {
		return
	}
	if usage.Limit != nil && usage.Remaining != nil {
		err = unless(*usage.Remaining > 0, "The limit of %s USD a month is used up.", usage.Limit)
	}
	d.check("Limit", err, left(usage), "Raise it: `maictl client limit "+d.w.Slug+" USD`.")
}

// machine checks the server's memory, disk and clock.
func (d *doctor) machine(ctx context.Context) {
	m, err := d.host.Examine(ctx, time.Now)
	if err != nil {
		d.check("Server", err, "", "Log in and see what is wrong: `cat /proc/meminfo`, `df /opt` and `date` have to work.")
		return
	}
	gigabytes := func(n int64) string { return fmt.Sprintf("%.1f GB", float64(n)/(1<<30)) }
	err = unless(m.Memory >= leastMemory, "It has %s.", gigabytes(m.Memory))
	if err == nil {
		err = unless(m.MemoryFree >= leastFreeMemory, "%s of %s are free.", gigabytes(m.MemoryFree), gigabytes(m.Memory))
	}
	d.check("Memory", err, gigabytes(m.MemoryFree)+" of "+gigabytes(m.Memory)+" are free", "4 GB are needed: `maictl server resize "+d.w.at.Name+"`.")
	err = unless(m.DiskFree*100 >= m.Disk*leastFreeDisk, "%s of %s are free.", gigabytes(m.DiskFree), gigabytes(m.Disk))
	d.check("Disk", err, gigabytes(m.DiskFree)+" of "+gigabytes(m.Disk)+" are free", "Remove what is not needed in /opt, `docker image prune -a`, or resize the server.")
	d.check("Clock", unless(m.Ahead.Abs() <= mostAhead, "It is %s ahead of this machine's.", m.Ahead), "it agrees with this machine's",
		"Turn time synchronisation on there: `timedatectl set-ntp true`.")
}

// container checks the containers of the instance and the edge.
func (d *doctor) container(ctx context.Context) {
	name := d.w.Instance()
	s, err := d.host.State(ctx, name)
	if err == nil {
		err = unless(s.Exists && s.Running, "It is %s.", orNone(s.Status))
	}
	d.check("Container", err, fmt.Sprintf("it runs %s since %s UTC", deploy.Short(s.Release), s.Started.UTC().Format(time.DateTime)),
		"Start it: `maictl client deploy "+d.w.Slug+"`; `maictl client logs "+d.w.Slug+"` shows its last words.")
	d.check("Restarts", unless(s.Restarts == 0, "Docker had to start it again %d times.", s.Restarts), "none", "Look for the reason: `maictl client logs "+d.w.Slug+"`.")
	d.check("Health", d.host.Healthy(ctx, name), "it answers inside", "Look at `maictl client logs "+d.w.Slug+"`.")
	edge, err := d.host.State(ctx, deploy.EdgeName)
	if err == nil {
		err = unless(edge.Running, "The edge is %s.", orNone(edge.Status))
	}
	d.check("Ports 80 and 443", err, "the edge has them", "See who else listens there, `ss -ltnp`, stop it, and run `maictl resume`.")
}

func orNone(status string) string {
	if status == "" {
		return "not there"
	}
	return status
}

// secrets checks that the instance has what it needs from us.
func (d *doctor) secrets(ctx context.Context) {
	in, err := d.f.wanted(ctx, d.w)
	if err == nil {
		var differ []string
		if differ, err = d.host.FilesDiffer(in); err == nil {
			err = unless(len(differ) == 0, "Not as they are here: %s.", strings.Join(differ, ", "))
		}
	}
	d.check("Files handed over", err, "the instance has the client's key", "Hand them over: `maictl resume`.")
}

// network checks DNS, TLS and the way in from outside.
func (d *doctor) network(ctx context.Context) {
	addr, domain := d.w.at.Address(), d.w.Domain
	if domain != "" {
		plan, err := d.f.planDNS(ctx, d.w)
		if err == nil && len(plan) > 0 {
			err = fault.New(fault.Unavailable, "To do: %s.", plan[0].what)
		}
		d.check("DNS", err, domain+" points to the server", "Have the record made: A "+addr.String()+".")
		until, err := deploy.Certificate(ctx, addr, domain, d.f.tls)
		if err == nil {
			err = unless(time.Until(until) > certificateTime, "The certificate ends on %s, and was not renewed.", until.Format(time.DateOnly))
		}
		d.check("TLS", err, "the certificate is good until "+until.Format(time.DateOnly),
			"DNS and port 80 have to be right for a certificate; then `maictl client deploy "+d.w.Slug+"`. `docker logs "+deploy.EdgeName+"` on the server says more.")
	}
	d.check("From outside", deploy.Answers(ctx, addr, domain, d.f.tls), d.w.URL(d.w.at.Server)+" answers",
		"See whether the firewall lets 80 and 443 in: at Hetzner under Firewalls, on the server `iptables -L`.")
}

// books checks what the instance says of itself: that it counts, backs up, and has nothing that needs a person.
func (d *doctor) books(ctx context.Context, in instance) {
	var s summary.Summary
	text, err := d.host.Ask(ctx, d.w.Instance(), summary.Path, in.token)
	if err == nil {
		err = json.Unmarshal(text, &s)
	}
	d.check("Auto-learning", err, fmt.Sprintf("version %s counts: %d calls this month", s.Version, s.Spend.Requests), "Update it: `maictl client update "+d.w.Slug+"`.")
	if err != nil {
		return
	}
	found := ""
	if err = unless(s.Backup != nil, "There is no verified backup."); s.Backup != nil {
		found = "the last verified one is of " + s.Backup.At.UTC().Format(time.DateTime) + " UTC"
		err = unless(time.Since(s.Backup.At) < BackupAge, "The last verified one is of %s UTC, %s ago.", s.Backup.At.UTC().Format(time.DateTime), time.Since(s.Backup.At).Round(time.Minute))
	}
	d.check("Backups", err, found, "Make one and see what it says: `maictl client exec "+d.w.Slug+" -- backup`.")
	kinds := make([]string, len(s.Alarms))
	for i, alarm := range s.Alarms {
		kinds[i] = string(alarm.Kind)
	}
	d.check("Alarms", unless(len(kinds) == 0, "The instance reports: %s.", strings.Join(kinds, ", ")), "none", "Open Settings → Usage in the instance with its administrator.")
}
