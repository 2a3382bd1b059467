package meter

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"mai/internal/fault"
	"mai/internal/openrouter"
)

// How long a fetched list is used before it is fetched again.
const (
	modelsFresh    = time.Hour
	providersFresh = time.Hour
	endpointsFresh = 6 * time.Hour
)

// Who serves a model is good to know and not needed: it is waited for only so long, asked for only so many models at
// once, and not asked again for a while when that failed.
const (
	endpointsWait  = 5 * time.Second
	endpointsPause = time.Minute
	endpointsLimit = 4
)

// market is what OpenRouter makes public: which models there are, who serves them, and where those have their machines.
type market struct {
	m         *Meter
	models    *cached[modelList]
	providers *cached[[]openrouter.Provider]
	retention *cached[[]openrouter.Endpoint] // the endpoints of all models that keep nothing
	turns     chan struct{}                  // of fetching endpoints

	mu        sync.Mutex
	endpoints map[string]*cached[[]openrouter.Endpoint] // by model id
}

type modelList struct {
	inOrder []openrouter.Model
	byID    map[string]openrouter.Model
}

func newMarket(m *Meter) *market {
	k := &market{m: m, turns: make(chan struct{}, endpointsLimit), endpoints: map[string]*cached[[]openrouter.Endpoint]{}}
	k.models = &cached[modelList]{m: m, what: "models", fresh: modelsFresh, fetch: func(ctx context.Context, conn Connection) (l modelList, err error) {
		l.inOrder, err = m.router.Models(ctx, conn.BaseURL, conn.Key)
		l.byID = make(map[string]openrouter.Model, len(l.inOrder))
		for _, model := range l.inOrder {
			l.byID[model.ID] = model
		}
		return l, err
	}}
	k.providers = &cached[[]openrouter.Provider]{m: m, what: "providers", fresh: providersFresh, fetch: func(ctx context.Context, conn Connection) ([]openrouter.Provider, error) {
		return m.router.Providers(ctx, conn.BaseURL, conn.Key)
	}}
	k.retention = &cached[[]openrouter.Endpoint]{m: m, what: "zero-retention endpoints", fresh: providersFresh, pause: endpointsPause, fetch: func(ctx context.Context, conn Connection) ([]openrouter.Endpoint, error) {
		return m.router.ZeroRetention(ctx, conn.BaseURL, conn.Key)
	}}
	return k
}

// list returns the models of a connection.
func (k *market) list(ctx context.Context, conn Connection) (modelList, error) {
	list, err := k.models.get(ctx, conn)
	if err != nil {
		err = fault.Wrap(fault.Unavailable, err, "The model list cannot be fetched from OpenRouter. Check the connection, then try again.")
	}
	return list, err
}

// find returns one of them.
func (k *market) find(ctx context.Context, conn Connection, id string) (openrouter.Model, error) {
	list, err := k.list(ctx, conn)
	if err != nil {
		return openrouter.Model{}, err
	}
	model, ok := list.byID[id]
	if !ok {
		return openrouter.Model{}, fault.New(fault.Invalid, "There is no model %q. Choose one from the list; programs find it at GET /v1/models.", id)
	}
	return model, nil
}

// of is the endpoints of a model on the list, so that there are no more of these than models.
func (k *market) of(id string) *cached[[]openrouter.Endpoint] {
	k.mu.Lock()
	defer k.mu.Unlock()
	c, ok := k.endpoints[id]
	if !ok {
		c = &cached[[]openrouter.Endpoint]{m: k.m, what: "endpoints of " + id, fresh: endpointsFresh, pause: endpointsPause, fetch: func(ctx context.Context, conn Connection) ([]openrouter.Endpoint, error) {
			select {
			case k.turns <- struct{}{}:
				defer func() { <-k.turns }()
			case <-ctx.Done():
				return nil, ctx.Err()
			}
			return k.m.router.Endpoints(ctx, conn.BaseURL, conn.Key, id)
		}}
		k.endpoints[id] = c
	}
	return c
}

// offers returns who serves a model, keeping nothing when that is asked for. known is false when OpenRouter does not
// say, or has not yet said and is not waited for.
func (k *market) offers(ctx context.Context, conn Connection, model openrouter.Model, zeroRetention, wait bool) (offers []openrouter.Endpoint, known bool) {
	source := k.retention
	if !zeroRetention {
		source = k.of(model.ID)
	}
	if wait {
		var err error
		offers, err = source.get(ctx, conn)
		known = err == nil
	} else {
		offers, known = source.peek(conn)
	}
	if zeroRetention {
		offers = slices.DeleteFunc(slices.Clone(offers), func(e openrouter.Endpoint) bool { return e.Model != model.ID && e.Model != model.Slug })
	}
	return offers, known
}

// slug is the lasting name of a provider that was named by it, by its display name, or with a region or a precision
// behind it, such as "DeepInfra/fp8".
func slug(name string, providers []openrouter.Provider) (provider, variant string) {
	provider, variant, _ = strings.Cut(strings.ToLower(strings.TrimSpace(name)), "/")
	for _, p := range providers {
		if strings.EqualFold(p.Name, provider) {
			return p.Slug, variant
		}
	}
	return strings.ReplaceAll(provider, " ", "-"), variant
}
