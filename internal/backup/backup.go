package backup

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"filippo.io/age"

	"mai/internal/fault"
	"mai/internal/sqldb"
	"mai/internal/throttle"
)

// Options say what is backed up, to where, and how often.
type Options struct {
	DB         *sqldb.DB
	SecretFile string   // the sealing key; it goes into encrypted archives only
	Folder     string   // where archives are kept, and made; made when missing
	Recipients []string // age public keys that the settings name
	Provider   string   // the provider's own, to which backups are encrypted only if the client agrees; "" when it has none
	OffHost    *S3      // where each backup is copied to; nil is nowhere
	MinFree    int64    // bytes that a backup must leave free on the folder's disk
	Version    string
	Every      time.Duration    // 0: only when asked
	Now        func() time.Time // nil means time.Now
	At         func(string)     // called at the named points, for tests that kill the process there; nil means not at all
	Log        *slog.Logger
}

// Backups makes the backups of one instance, when asked and by itself. Close it.
type Backups struct {
	o       Options
	cancel  context.CancelFunc
	ctx     context.Context // of everything that is under way
	work    sync.WaitGroup
	started time.Time

	running sync.Mutex // held while a backup is made
	copying sync.Mutex // held while one is copied off the host

	mu     sync.Mutex
	status Status
}

// Status is what an admin should know.
type Status struct {
	Last     *Record    // the last verified backup; nil when there is none
	Count    int        // verified backups that are kept
	Next     *time.Time // nil when none is planned
	Running  bool
	Failed   error // why the last attempt failed; nil when it did not
	FailedAt time.Time
	Copies   *Copies // nil when none are kept off the host
}

// firstAfter is how long after a start the first backup of an instance without any is made.
const firstAfter = time.Minute

// retryAfter is how long after a failure, of a backup or of its copy, the next attempt is made, unless a backup is planned
// sooner.
const retryAfter = 10 * time.Minute

// Open looks at what backups there are. Nothing is made before Start or Run.
func Open(o Options) *Backups {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.At == nil {
		o.At = func(string) {}
	}
	b := &Backups{o: o, started: o.Now()}
	b.ctx, b.cancel = context.WithCancel(context.Background())
	// A folder that cannot be read is no reason not to work: the status says it, and every attempt tries again.
	if err := b.refresh(); err != nil {
		b.status.Failed, b.status.FailedAt = err, o.Now()
	}
	b.status.Copies = b.readCopies()
	return b
}

// Close breaks off what is under way and waits for it.
func (b *Backups) Close() {
	b.cancel()
	b.work.Wait()
	b.running.Lock()
	defer b.running.Unlock()
	b.copying.Lock()
	defer b.copying.Unlock()
}

// Folder is where the backups are kept.
func (b *Backups) Folder() string { return b.o.Folder }

// ProviderOffered reports whether the provider has a key that the client may let in.
func (b *Backups) ProviderOffered() bool { return b.o.Provider != "" }

// Start makes backups by itself from now on.
func (b *Backups) Start() {
	if b.o.Every == 0 {
		return
	}
	b.work.Go(func() {
		for {
			s := b.Status()
			wait, again := max(0, s.Next.Sub(b.o.Now())), s.copyAgain(b.o.Now())
			select {
			case <-b.ctx.Done():
				return
			case <-time.After(min(wait, again, time.Minute)): // the wall clock may be set meanwhile
			}
			if again <= time.Minute {
				b.Copy(b.ctx)
			}
			if wait <= time.Minute {
				_, _ = b.Run(b.ctx) // it keeps and logs its error
			}
		}
	})
}

// Status is how the backups stand.
func (b *Backups) Status() Status {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.status
	if b.o.Every > 0 {
		next := b.started.Add(min(firstAfter, b.o.Every))
		if s.Last != nil {
			next = s.Last.CreatedAt.Add(b.o.Every)
		}
		if s.Failed != nil {
			next = s.FailedAt.Add(min(retryAfter, b.o.Every))
		}
		s.Next = &next
	}
	return s
}

// Begin makes a backup in the background, unless one is being made. Its outcome is in the status.
func (b *Backups) Begin() error {
	if b.Status().Running {
		return fault.New(fault.Conflict, "A backup is being made already. Wait until it is ready.")
	}
	b.set(func(s *Status) { s.Running = true })
	b.work.Go(func() { _, _ = b.Run(b.ctx) }) // it keeps and logs its error
	return nil
}

// Run makes a backup, verifies it by restoring what was stored, removes those that are no longer kept, and copies it off the
// host. One is made at a time. Whether it was copied is in the status.
func (b *Backups) Run(ctx context.Context) (Record, error) {
	record, err := b.run(ctx)
	if err == nil {
		b.Copy(ctx)
	}
	return record, err
}

func (b *Backups) run(ctx context.Context) (Record, error) {
	if !b.running.TryLock() {
		return Record{}, fault.New(fault.Conflict, "A backup is being made already. Wait until it is ready.")
	}
	defer b.running.Unlock()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(b.ctx, cancel)()
	b.set(func(s *Status) { s.Running = true })
	begun := b.o.Now()
	record, err := b.make(ctx)
	if err == nil {
		b.o.Log.Info("backup made and verified", "archive", record.Archive, "bytes", record.Size, "entries", record.Entries,
			"encrypted", len(record.Recipients) > 0, "took", b.o.Now().Sub(begun).Round(time.Millisecond).String())
		err = b.prune()
	}
	err = errors.Join(err, b.refresh())
	if err != nil && ctx.Err() == nil {
		b.o.Log.Error("THE BACKUP FAILED", "err", err, "told", fault.Message(err))
	}
	b.set(func(s *Status) { s.Running, s.Failed, s.FailedAt = false, err, b.o.Now() })
	return record, err
}

func (b *Backups) set(change func(*Status)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change(&b.status)
}

// refresh counts the verified backups anew: what lies in the folder is the truth, not what this process did.
func (b *Backups) refresh() error {
	records, err := list(b.o.Folder)
	b.set(func(s *Status) {
		s.Last, s.Count = nil, len(records)
		if len(records) > 0 {
			s.Last = &records[0]
		}
	})
	return err
}

// workFolder is where a backup is made, on the disk where it is kept.
const workFolder = ".work"

func (b *Backups) make(ctx context.Context) (r Record, err error) {
	if err := os.MkdirAll(b.o.Folder, 0o700); err != nil {
		return r, fault.Wrap(fault.Unavailable, err, "The backup folder %s cannot be made. Check MAI_BACKUP_DIR and who may write to the folder above it.", b.o.Folder)
	}
	work := filepath.Join(b.o.Folder, workFolder)
	// What an earlier process left there when it was killed.
	if err := os.RemoveAll(work); err != nil {
		return r, fmt.Errorf("clear %s: %w", work, err)
	}
	if err := os.Mkdir(work, 0o700); err != nil {
		return r, fault.Wrap(fault.Unavailable, err, "The backup folder %s cannot be written. Check that it belongs to the user who runs mai.", b.o.Folder)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	if err := b.checkSpace(); err != nil {
		return r, err
	}
	now := b.o.Now().UTC().Truncate(time.Millisecond)
	name := "mai-" + now.Format("20060102T150405.000Z")
	r.Archive = name + ".tar.zst"
	list, err := b.Recipients(ctx)
	if err != nil {
		return r, err
	}
	recipients, texts, err := ageRecipients(list)
	if err != nil {
		return r, err
	}
	key := ""
	if len(recipients) > 0 {
		key, r.Archive = b.o.SecretFile, r.Archive+".age"
	}
	// An archive that nobody could open is worth nothing: a key that exists only during this backup opens it once, to
	// verify it without the recovery key, which is not here.
	once, err := age.GenerateX25519Identity()
	if err != nil {
		return r, fmt.Errorf("make a key: %w", err)
	}
	if len(recipients) > 0 {
		recipients = append(recipients, once.Recipient())
	}
	archive := filepath.Join(work, r.Archive)
	if err := b.write(ctx, work, archive, key, now, recipients, &r); err != nil {
		return r, full(b.o.Folder, err)
	}
	b.o.At("backup/packed")
	if err := b.verify(ctx, filepath.Join(work, "restored"), archive, once, &r); err != nil {
		return r, full(b.o.Folder, err)
	}
	b.o.At("backup/verified")
	r.Recipients, r.VerifiedAt = texts, b.o.Now().UTC()
	for _, one := range list {
		r.Keepers = append(r.Keepers, one.Keeper)
	}
	return r, full(b.o.Folder, b.keep(archive, name, r))
}

// write copies the database and packs it.
func (b *Backups) write(ctx context.Context, work, archive, key string, now time.Time, recipients []age.Recipient, r *Record) error {
	copied := filepath.Join(work, "copied")
	if err := os.Mkdir(copied, 0o700); err != nil {
		return err
	}
	if err := b.o.DB.Snapshot(ctx, filepath.Join(copied, sqldb.File)); err != nil {
		return err
	}
	b.o.At("backup/copied")
	m, err := describe(ctx, copied, key)
	if err != nil {
		return err
	}
	m.Version, m.CreatedAt = b.o.Version, now
	r.Manifest = m
	sources := map[string]string{sqldb.File: filepath.Join(copied, sqldb.File), keyFile: key}
	if err := Pack(ctx, archive, m, sources, recipients); err != nil {
		return err
	}
	return throttle.RemoveAll(ctx, copied)
}

// verify restores the archive as it is stored into a scratch folder.
func (b *Backups) verify(ctx context.Context, scratch, archive string, once age.Identity, r *Record) error {
	var err error
	if r.Size, r.SHA256, err = hashFile(archive, &reader{ctx: ctx, paced: true}); err != nil {
		return err
	}
	if err := os.Mkdir(scratch, 0o700); err != nil {
		return err
	}
	a, err := openArchive(archive, []age.Identity{once}, &reader{ctx: ctx, paced: true})
	if err != nil {
		return err
	}
	defer a.Close()
	if err := a.Unpack(scratch); err != nil {
		return err
	}
	report, err := check(ctx, scratch, r.Manifest)
	r.Entries, r.Charge = report.Entries, &report.Charge
	return errors.Join(err, throttle.RemoveAll(ctx, scratch))
}

// checkSpace refuses early what would fail late: the copy, then the archive beside it, then a restored copy beside that.
func (b *Backups) checkSpace() error {
	size, err := b.o.DB.Size()
	if err != nil {
		return err
	}
	var fs syscall.Statfs_t
	if err := syscall.Statfs(b.o.Folder, &fs); err != nil {
		return fmt.Errorf("space of %s: %w", b.o.Folder, err)
	}
	free := int64(fs.Bavail) * int64(fs.Bsize)
	if need := 2*size + b.o.MinFree; free < need {
		return fault.New(fault.Unavailable, "The disk of the backup folder %s has %d MB free, and a backup needs %d MB. Free some space, or set MAI_BACKUP_DIR to another disk.", b.o.Folder, free/1e6, (need+1e6-1)/1e6)
	}
	return nil
}

// full explains a disk that filled up on the way.
func full(folder string, err error) error {
	if errors.Is(err, syscall.ENOSPC) && !fault.Is(err, fault.Unavailable) {
		return fault.Wrap(fault.Unavailable, err, "The disk of the backup folder %s is full. Free some space, or set MAI_BACKUP_DIR to another disk.", folder)
	}
	return err
}
