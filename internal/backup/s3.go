package backup

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"mai/internal/fault"
)

// S3 is a place off the host: the part of a bucket, at Amazon or anybody who speaks as it does, in which one instance alone
// keeps its backups.
type S3 struct {
	endpoint    *url.URL
	region      string
	bucket      string
	prefix      string // "" or with a slash at its end
	credentials string // file, read again each time
}

// bucketName is what S3 takes for one.
var bucketName = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)

// ParseS3 reads a place such as s3://bucket/folder?endpoint=https://nbg1.your-objectstorage.com&region=nbg1. Without an
// endpoint it is Amazon's, without a region us-east-1. The file holds the access key, as the aws command has it.
func ParseS3(text, credentialsFile string) (*S3, error) {
	place, err := url.Parse(text)
	if err != nil || place.Scheme != "s3" || place.User != nil || place.Fragment != "" || !bucketName.MatchString(place.Host) {
		return nil, fault.Wrap(fault.Invalid, err, "%q is no place in S3. It is s3://BUCKET/FOLDER?endpoint=https://HOST&region=REGION.", text)
	}
	s := &S3{region: "us-east-1", bucket: place.Host, credentials: credentialsFile}
	if folder := strings.Trim(path.Clean("/"+place.Path), "/"); folder != "" {
		s.prefix = folder + "/"
	}
	endpoint := "https://s3.amazonaws.com"
	for name, values := range place.Query() {
		switch {
		case name == "endpoint" && len(values) == 1:
			endpoint = values[0]
		case name == "region" && len(values) == 1:
			s.region = values[0]
		default:
			return nil, fault.New(fault.Invalid, "%q is no place in S3. It is s3://BUCKET/FOLDER?endpoint=https://HOST&region=REGION.", text)
		}
	}
	s.endpoint, err = url.Parse(endpoint)
	if err != nil || s.endpoint.Host == "" || s.endpoint.User != nil || strings.Trim(s.endpoint.Path, "/") != "" || s.endpoint.Scheme != "https" && s.endpoint.Scheme != "http" {
		return nil, fault.Wrap(fault.Invalid, err, "The endpoint %q of S3 is no address such as https://nbg1.your-objectstorage.com.", endpoint)
	}
	return s, nil
}

// ParseS3Backup reads a place, or a backup in it by its name: s3://bucket/folder/mai-….tar.zst.age. The name is "" when there is
// none.
func ParseS3Backup(text, credentialsFile string) (place *S3, name string, err error) {
	before, query, _ := strings.Cut(text, "?")
	if last := path.Base(before); strings.Contains(last, ".tar.zst") {
		name, before = last, strings.TrimSuffix(before, "/"+last)
	}
	place, err = ParseS3(before+"?"+query, credentialsFile)
	return place, name, err
}

// URL is the place as ParseS3 reads it.
func (s *S3) URL() string {
	query := url.Values{"endpoint": {s.endpoint.String()}, "region": {s.region}}
	return (&url.URL{Scheme: "s3", Host: s.bucket, Path: "/" + s.prefix, RawQuery: query.Encode()}).String()
}

// Below is a folder of the place, or the place when it is that folder already.
func (s *S3) Below(folder string) *S3 {
	below := *s
	if path.Base(s.prefix) != folder {
		below.prefix += folder + "/"
	}
	return &below
}

// String names the place to people.
func (s *S3) String() string {
	return "s3://" + s.bucket + "/" + s.prefix + " (" + s.endpoint.Host + ")"
}

// How long S3 may say nothing, and how long one copy may take in all.
const (
	s3Answer = time.Minute
	s3Copy   = 6 * time.Hour
)

// client is a connection with the credentials that are in the file now.
func (s *S3) client() (*minio.Client, func(), error) {
	keys := credentials.NewFileAWSCredentials(s.credentials, "default")
	if got, err := keys.GetWithContext(nil); err != nil || got.AccessKeyID == "" || got.SecretAccessKey == "" {
		return nil, nil, fault.Wrap(fault.Invalid, err, "The file with the credentials for S3, %q, cannot be used. It holds lines as the aws command has them: [default], aws_access_key_id = …, aws_secret_access_key = ….", s.credentials)
	}
	transport, err := minio.DefaultTransport(s.endpoint.Scheme == "https")
	if err != nil {
		return nil, nil, err
	}
	transport.ResponseHeaderTimeout = s3Answer
	client, err := minio.New(s.endpoint.Host, &minio.Options{Creds: keys, Secure: s.endpoint.Scheme == "https", Region: s.region, Transport: transport, MaxRetries: 3})
	return client, transport.CloseIdleConnections, err
}

// do calls fn with a connection, and says in words what S3 refused.
func (s *S3) do(ctx context.Context, fn func(context.Context, *minio.Client) error) error {
	ctx, cancel := context.WithTimeout(ctx, s3Copy)
	defer cancel()
	client, end, err := s.client()
	if err != nil {
		return err
	}
	defer end()
	return s.explain(fn(ctx, client))
}

// explain makes a sentence of an error for whoever keeps the bucket.
func (s *S3) explain(err error) error {
	refused, answered := errors.AsType[minio.ErrorResponse](err)
	var told *fault.Error
	switch {
	case err == nil || errors.As(err, &told) || errors.Is(err, context.Canceled):
		return err
	case !answered:
		return fault.Wrap(fault.Unavailable, err, "S3 at %s cannot be reached, or does not answer in time. Check the endpoint and the network.", s.endpoint.Host)
	}
	switch refused.Code {
	case minio.NoSuchBucket:
		return fault.Wrap(fault.NotFound, err, "There is no bucket %s at %s. Make it, or correct the place.", s.bucket, s.endpoint.Host)
	case minio.InvalidAccessKeyID, minio.SignatureDoesNotMatch, "AuthorizationHeaderMalformed", "InvalidToken", "ExpiredToken":
		return fault.Wrap(fault.Forbidden, err, "S3 at %s does not accept the access key, or not for this region. Check the file of the credentials and the region.", s.endpoint.Host)
	case minio.AccessDenied, "AllAccessDisabled", "AccountProblem":
		return fault.Wrap(fault.Forbidden, err, "The access key may not do this in the bucket %s. It has to list, read, write and delete there.", s.bucket)
	case "QuotaExceeded", "InsufficientStorage", "XMinioStorageFull", "XMinioAdminBucketQuotaExceeded", "StorageFull":
		return fault.Wrap(fault.Unavailable, err, "The bucket %s is full. Have its limit raised, or remove what is not needed.", s.bucket)
	case minio.RequestTimeTooSkewed:
		return fault.Wrap(fault.Unavailable, err, "S3 refuses the time of this machine. Set its clock right.")
	}
	return fault.Wrap(fault.Upstream, err, "S3 at %s refused: %s (%s).", s.endpoint.Host, refused.Message, refused.Code)
}

// Keep copies a verified archive, and proves the copy by reading all of it back. Only then a record is written beside it, as
// in a folder: what has none is no backup. A backup that anybody could read is refused.
func (s *S3) Keep(ctx context.Context, archive string, r Record) (Record, error) {
	if len(r.Recipients) == 0 {
		return r, fault.New(fault.Conflict, "The backup stays on its host: it is not encrypted, so it is not copied off it. An admin makes a recovery key in Settings → Backups, or the settings name one in MAI_BACKUP_RECIPIENTS.")
	}
	err := s.do(ctx, func(ctx context.Context, client *minio.Client) error {
		key := s.prefix + r.Archive
		if _, err := client.FPutObject(ctx, s.bucket, key, archive, minio.PutObjectOptions{ContentType: "application/octet-stream", NumThreads: 1}); err != nil {
			return err
		}
		sum := sha256.New()
		if err := s.read(ctx, client, r.Archive, sum); err != nil {
			return err
		}
		if hex.EncodeToString(sum.Sum(nil)) != r.SHA256 {
			return errors.Join(fault.New(fault.Upstream, "The copy of %s in S3 is not what was sent: its bytes are others. It does not count, and is sent again.", r.Archive),
				client.RemoveObject(ctx, s.bucket, key, minio.RemoveObjectOptions{}))
		}
		r.VerifiedAt = time.Now().UTC()
		return s.write(ctx, client, RecordName(r.Archive), r)
	})
	return r, err
}

// write stores a value as JSON.
func (s *S3) write(ctx context.Context, client *minio.Client, name string, v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err == nil {
		_, err = client.PutObject(ctx, s.bucket, s.prefix+name, bytes.NewReader(text), int64(len(text)), minio.PutObjectOptions{ContentType: "application/json"})
	}
	return err
}

// read writes the content of an object to a writer.
func (s *S3) read(ctx context.Context, client *minio.Client, name string, to io.Writer) error {
	object, err := client.GetObject(ctx, s.bucket, s.prefix+name, minio.GetObjectOptions{})
	if err != nil {
		return err
	}
	_, err = io.Copy(to, object)
	return errors.Join(err, object.Close())
}

// objects are the sizes of what lies in the place, by name.
func (s *S3) objects(ctx context.Context, client *minio.Client) (map[string]minio.ObjectInfo, error) {
	all := map[string]minio.ObjectInfo{}
	for object := range client.ListObjects(ctx, s.bucket, minio.ListObjectsOptions{Prefix: s.prefix + "mai-"}) {
		if object.Err != nil {
			return nil, object.Err
		}
		all[strings.TrimPrefix(object.Key, s.prefix)] = object
	}
	return all, nil
}

// maxRecord bounds what is read of a record, in bytes.
const maxRecord = 1 << 20

// records are those whose archive is there, newest first, and all that lies in the place.
func (s *S3) records(ctx context.Context, client *minio.Client) (records []Record, all map[string]minio.ObjectInfo, err error) {
	if all, err = s.objects(ctx, client); err != nil {
		return nil, nil, err
	}
	for name, object := range all {
		if !strings.HasSuffix(name, recordSuffix) || object.Size > maxRecord {
			continue
		}
		var text bytes.Buffer
		if err := s.read(ctx, client, name, &text); err != nil {
			return nil, nil, err
		}
		var r Record
		if err := json.Unmarshal(text.Bytes(), &r); err != nil || RecordName(r.Archive) != name {
			return nil, nil, fault.Wrap(fault.Conflict, err, "%s in %s is no record of a backup. The place has to be this instance's alone.", name, s)
		}
		if archive, there := all[r.Archive]; there && archive.Size == r.Size {
			records = append(records, r)
		}
	}
	slices.SortFunc(records, func(x, y Record) int { return y.CreatedAt.Compare(x.CreatedAt) })
	return records, all, nil
}

// List returns the records of the backups that were proven there, newest first.
func (s *S3) List(ctx context.Context) (records []Record, err error) {
	err = s.do(ctx, func(ctx context.Context, client *minio.Client) error {
		records, _, err = s.records(ctx, client)
		return err
	})
	return records, err
}

// strayAfter is how old an archive without a record has to be before it is taken for what a broken-off copy left.
const strayAfter = 24 * time.Hour

// Prune removes the backups that are no longer kept, by the rule for folders, and returns the others. So goes what a copy
// left that broke off.
func (s *S3) Prune(ctx context.Context) (left []Record, err error) {
	err = s.do(ctx, func(ctx context.Context, client *minio.Client) error {
		records, all, err := s.records(ctx, client)
		if err != nil {
			return err
		}
		kept, recorded := kept(records), map[string]bool{}
		for i, r := range records {
			recorded[r.Archive] = true
			if kept[i] {
				left = append(left, r)
				continue
			}
			for _, name := range []string{r.Archive, RecordName(r.Archive)} {
				if err := client.RemoveObject(ctx, s.bucket, s.prefix+name, minio.RemoveObjectOptions{}); err != nil {
					return err
				}
			}
		}
		for name, object := range all {
			if strings.Contains(name, ".tar.zst") && !recorded[name] && time.Since(object.LastModified) > strayAfter {
				if err := client.RemoveObject(ctx, s.bucket, object.Key, minio.RemoveObjectOptions{}); err != nil {
					return err
				}
			}
		}
		return nil
	})
	return left, err
}

// Fetch brings a backup into a folder, the newest unless one is named, and returns its path. With it comes the list of
// erased users.
func (s *S3) Fetch(ctx context.Context, name, dir string) (archive string, err error) {
	err = s.do(ctx, func(ctx context.Context, client *minio.Client) error {
		records, _, err := s.records(ctx, client)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(records, func(r Record) bool { return name == "" || r.Archive == name })
		if i < 0 {
			return fault.New(fault.NotFound, "There is no verified backup %s in %s.", name, s)
		}
		r := records[i]
		if r.Archive != filepath.Base(r.Archive) {
			return fault.New(fault.Conflict, "%s in %s is no record of a backup. The place has to be this instance's alone.", RecordName(r.Archive), s)
		}
		archive = filepath.Join(dir, r.Archive)
		if err := s.fetch(ctx, client, r.Archive, archive); err != nil {
			return err
		}
		if _, sum, err := HashFile(archive); err != nil || sum != r.SHA256 {
			return errors.Join(err, fault.New(fault.Conflict, "The backup %s in S3 is damaged: its bytes are not those that were verified. Take another one.", r.Archive))
		}
		err = s.fetch(ctx, client, ErasedFile, filepath.Join(dir, ErasedFile))
		if refused, ok := errors.AsType[minio.ErrorResponse](err); ok && refused.StatusCode == http.StatusNotFound { // nobody was erased
			err = os.Remove(filepath.Join(dir, ErasedFile))
		}
		return err
	})
	return archive, err
}

func (s *S3) fetch(ctx context.Context, client *minio.Client, name, to string) error {
	file, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	err = s.read(ctx, client, name, file)
	return errors.Join(err, file.Close())
}

// KeepErased stores the list of erased users beside the backups, if there is one.
func (s *S3) KeepErased(ctx context.Context, folder string) error {
	text, err := os.ReadFile(filepath.Join(folder, ErasedFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("the list of erased users: %w", err)
	}
	return s.do(ctx, func(ctx context.Context, client *minio.Client) error {
		_, err := client.PutObject(ctx, s.bucket, s.prefix+ErasedFile, bytes.NewReader(text), int64(len(text)), minio.PutObjectOptions{ContentType: "text/plain"})
		return err
	})
}
