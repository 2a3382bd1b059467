package meter

import (
	"context"
	"sync"
	"time"

	"mai/internal/fault"
	"mai/internal/openrouter"
)

// modelsFresh is how long a fetched model list is used before it is fetched again.
const modelsFresh = time.Hour

// catalogue is the model list of the connection in force. A stale list is used while a new one cannot be fetched.
type catalogue struct {
	m *Meter

	mu      sync.Mutex // held while fetching, so that one caller fetches for all
	baseURL string
	at      time.Time
	list    []openrouter.Model
	byID    map[string]openrouter.Model
}

// Models returns the models of the connection in force, in OpenRouter's order.
func (m *Meter) Models(ctx context.Context) ([]openrouter.Model, error) {
	conn, err := m.conns.inForce(ctx)
	if err != nil {
		return nil, err
	}
	m.models.mu.Lock()
	defer m.models.mu.Unlock()
	if err := m.models.refresh(ctx, conn); err != nil {
		return nil, err
	}
	return m.models.list, nil
}

func (c *catalogue) find(ctx context.Context, conn Connection, id string) (openrouter.Model, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.refresh(ctx, conn); err != nil {
		return openrouter.Model{}, err
	}
	model, ok := c.byID[id]
	if !ok {
		return openrouter.Model{}, fault.New(fault.Invalid, "There is no model %q. Choose one from the list.", id)
	}
	return model, nil
}

// refresh fetches the list when it is stale. The lock is held.
func (c *catalogue) refresh(ctx context.Context, conn Connection) error {
	if c.baseURL == conn.BaseURL && time.Since(c.at) < modelsFresh {
		return nil
	}
	list, err := c.m.router.Models(ctx, conn.BaseURL, conn.Key)
	if err != nil {
		if c.baseURL == conn.BaseURL && c.list != nil {
			c.m.log.Warn("the model list could not be fetched; using the last one", "err", err)
			c.at = time.Now().Add(time.Minute - modelsFresh)
			return nil
		}
		return fault.Wrap(fault.Unavailable, err, "The model list cannot be fetched from OpenRouter. Check the connection, then try again.")
	}
	c.baseURL, c.at, c.list, c.byID = conn.BaseURL, time.Now(), list, make(map[string]openrouter.Model, len(list))
	for _, model := range list {
		c.byID[model.ID] = model
	}
	return nil
}
