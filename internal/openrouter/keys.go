package openrouter

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"mai/internal/money"
)

// ManagedKey is an inference key as the management key of its account sees it.
type ManagedKey struct {
	KeyInfo
	// Hash identifies the key for ever: SHA-256 of the secret in hexadecimal.
	Hash string
	// Name is what its maker called it; OpenRouter allows two keys of the same name.
	Name     string
	Disabled bool
	Created  time.Time
}

// MonthlyLimit is a limit of cost that resets at the beginning of each UTC month; nil means none.
type MonthlyLimit = *money.Amount

// maxKeyPages bounds how many pages of keys are read: ten thousand keys.
const maxKeyPages = 100

type managedFields struct {
	keyFields
	Hash     string `json:"hash"`
	Name     string `json:"name"`
	Disabled bool   `json:"disabled"`
	Created  string `json:"created_at"`
}

func (d *managedFields) key() (ManagedKey, error) {
	if d == nil || d.Hash == "" {
		return ManagedKey{}, fmt.Errorf("%w: a key without hash", ErrFormat)
	}
	info, err := d.info()
	if err != nil {
		return ManagedKey{}, fmt.Errorf("key %s: %w", d.Hash, err)
	}
	created, err := time.Parse(time.RFC3339, d.Created)
	if err != nil {
		return ManagedKey{}, fmt.Errorf("%w: key %s: created_at: %w", ErrFormat, d.Hash, err)
	}
	return ManagedKey{KeyInfo: info, Hash: d.Hash, Name: d.Name, Disabled: d.Disabled, Created: created.UTC()}, nil
}

// Keys lists all keys of the account, disabled ones too, newest first. management is a management key; with any other
// the error is an *APIError of ClassForbidden.
func (c *Client) Keys(ctx context.Context, baseURL, management string) ([]ManagedKey, error) {
	var all []ManagedKey
	known := map[string]bool{}
	for range maxKeyPages {
		var page struct {
			Data []managedFields `json:"data"`
		}
		path := "/keys?include_disabled=true&offset=" + strconv.Itoa(len(all))
		if err := c.get(ctx, baseURL, management, path, maxModels, &page); err != nil {
			return nil, notHere(err)
		}
		for i := range page.Data {
			key, err := page.Data[i].key()
			if err != nil {
				return nil, err
			}
			if known[key.Hash] { // a key was made meanwhile and moved the pages
				continue
			}
			known[key.Hash] = true
			all = append(all, key)
		}
		if len(page.Data) < 100 {
			return all, nil
		}
	}
	return nil, fmt.Errorf("%w: more than %d pages of keys", ErrFormat, maxKeyPages)
}

// ManagedKey asks for one key by its hash; an *APIError of ClassNotFound when there is none.
func (c *Client) ManagedKey(ctx context.Context, baseURL, management, hash string) (ManagedKey, error) {
	var reply struct {
		Data *managedFields `json:"data"`
	}
	if err := c.get(ctx, baseURL, management, keyPath(hash), maxReply, &reply); err != nil {
		return ManagedKey{}, err
	}
	return reply.Data.key()
}

// CreateKey makes a key and returns it with its secret, which OpenRouter shows this once. There is no idempotency at
// OpenRouter: when the reply is lost, the key exists and its secret is gone.
func (c *Client) CreateKey(ctx context.Context, baseURL, management, name string, limit MonthlyLimit) (key ManagedKey, secret string, err error) {
	var reply struct {
		Data *managedFields `json:"data"`
		Key  string         `json:"key"`
	}
	in := monthly(limit)
	in["name"] = name
	err = c.call(ctx, http.MethodPost, baseURL, management, "/keys", in, http.StatusCreated, maxReply, &reply)
	if err != nil {
		return ManagedKey{}, "", err
	}
	if key, err = reply.Data.key(); err == nil && reply.Key == "" {
		err = fmt.Errorf("%w: a new key without its secret", ErrFormat)
	}
	return key, reply.Key, err
}

// LimitKey changes what a key may cost per UTC month.
func (c *Client) LimitKey(ctx context.Context, baseURL, management, hash string, limit MonthlyLimit) (ManagedKey, error) {
	return c.patchKey(ctx, baseURL, management, hash, monthly(limit))
}

// DisableKey switches a key off, or on again. OpenRouter refuses calls of a disabled key with 401.
func (c *Client) DisableKey(ctx context.Context, baseURL, management, hash string, disabled bool) (ManagedKey, error) {
	return c.patchKey(ctx, baseURL, management, hash, map[string]any{"disabled": disabled})
}

func (c *Client) patchKey(ctx context.Context, baseURL, management, hash string, in map[string]any) (ManagedKey, error) {
	var reply struct {
		Data *managedFields `json:"data"`
	}
	if err := c.call(ctx, http.MethodPatch, baseURL, management, keyPath(hash), in, http.StatusOK, maxReply, &reply); err != nil {
		return ManagedKey{}, err
	}
	return reply.Data.key()
}

// DeleteKey deletes a key for ever; an *APIError of ClassNotFound when it is not there.
func (c *Client) DeleteKey(ctx context.Context, baseURL, management, hash string) error {
	var reply struct {
		Deleted bool `json:"deleted"`
	}
	err := c.call(ctx, http.MethodDelete, baseURL, management, keyPath(hash), nil, http.StatusOK, maxReply, &reply)
	if err == nil && !reply.Deleted {
		err = fmt.Errorf("%w: the key was not deleted", ErrFormat)
	}
	return err
}

func keyPath(hash string) string { return "/keys/" + url.PathEscape(hash) }

// monthly writes a limit as the API wants it: a number, and when it resets, without which a limit is for ever.
func monthly(limit MonthlyLimit) map[string]any {
	if limit == nil {
		return map[string]any{"limit": nil, "limit_reset": nil}
	}
	return map[string]any{"limit": json.Number(limit.String()), "limit_reset": "monthly"}
}
