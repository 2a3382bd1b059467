package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"mai/internal/fault"
	"mai/internal/sqldb"
	"mai/internal/summary"
)

// Live is what an instance tells of itself, or why it does not.
type Live struct {
	Summary *summary.Summary // nil when it did not answer, or when there is no instance
	Err     error
}

// How many instances are asked at once, how long one may take, and how long all of them.
const (
	liveAtOnce = 48
	liveTime   = 8 * time.Second
	liveWhole  = 20 * time.Second
)

// maxSummary is the largest summary that is read, in bytes.
const maxSummary = 1 << 20

// Live asks the instances of clients for their summaries, many at once, and returns what came of it by the client's id. A
// client without an instance is left out. What is asked for, and the token that is shown for it, goes over TLS to the
// client's domain, or through SSH when there is none.
func (f *Fleet) Live(ctx context.Context, clients []Client) (map[string]Live, error) {
	ctx, cancel := context.WithTimeout(ctx, liveWhole)
	defer cancel()
	addresses, err := f.addresses(ctx)
	if err != nil {
		return nil, err
	}
	at := map[string]netip.AddrPort{}
	for _, c := range clients {
		at[c.Domain] = netip.AddrPortFrom(addresses[c.serverID], 443)
	}
	outside, err := f.tls.Outside(func(host string) netip.AddrPort { return at[host] })
	if err != nil {
		return nil, err
	}
	defer outside.CloseIdleConnections()
	all := map[string]Live{}
	var mu sync.Mutex
	var asking sync.WaitGroup
	slots := make(chan struct{}, liveAtOnce)
	for _, c := range clients {
		if !c.Deployed {
			continue
		}
		slots <- struct{}{}
		asking.Go(func() {
			defer func() { <-slots }()
			s, err := f.live(ctx, c, outside)
			mu.Lock()
			defer mu.Unlock()
			all[c.ID] = Live{s, err}
		})
	}
	asking.Wait()
	return all, nil
}

// addresses are those of all servers, by their ids.
func (f *Fleet) addresses(ctx context.Context) (map[string]netip.Addr, error) {
	byID := map[string]netip.Addr{}
	err := f.db.Read(ctx, func(tx *sqldb.Tx) error {
		servers, err := sqldb.All(tx, `SELECT `+serverColumns+` FROM servers s WHERE s.state <> 'deleted'`, nil, scanServer)
		for _, s := range servers {
			byID[s.ID] = s.Address()
		}
		return err
	})
	return byID, err
}

// live asks one instance: from outside at its domain, else through SSH, so that a token is shown to nobody on the way.
func (f *Fleet) live(ctx context.Context, c Client, outside *http.Transport) (_ *summary.Summary, err error) {
	ctx, cancel := context.WithTimeout(ctx, liveTime)
	defer cancel()
	in, err := f.instanceOf(ctx, c)
	if err != nil {
		return nil, err
	}
	if c.Domain != "" {
		return fetchSummary(ctx, outside, "https://"+c.Domain+summary.Path, in.token)
	}
	w := &work{Client: c}
	defer func() { err = errors.Join(err, w.leave()) }()
	host, err := f.host(ctx, w)
	if err != nil {
		return nil, err
	}
	inside, err := host.Inside(ctx, c.Instance())
	if err != nil {
		return nil, err
	}
	defer inside.CloseIdleConnections()
	return fetchSummary(ctx, inside, "http://"+c.Instance()+summary.Path, in.token)
}

func fetchSummary(ctx context.Context, transport *http.Transport, url, token string) (*summary.Summary, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", url, err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := transport.RoundTrip(req) // a redirect is not followed: the token would go with it
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, err, "Nothing answers at %s.", url)
	}
	defer func() { _ = resp.Body.Close() }() // it was read, or is of no use
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusUnauthorized:
		return nil, fault.New(fault.Unavailable, "%s refuses the provider's token. `maictl client deploy` hands it over again.", url)
	default:
		return nil, fault.New(fault.Unavailable, "%s answers with status %d.", url, resp.StatusCode)
	}
	var s summary.Summary
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxSummary)).Decode(&s); err != nil {
		return nil, fault.Wrap(fault.Unavailable, err, "%s answers with something that is no summary.", url)
	}
	return &s, nil
}
