package livecheck

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"mai/internal/money"
)

func ownKeyCase(c *conversation) error {
	x, err := c.request(http.MethodGet, "/key", ownKey, nil)
	if err == nil {
		err = x.want(http.StatusOK)
	}
	if err != nil {
		return err
	}
	if x.value("data.is_management_key") != "false" {
		return errors.New("OPENROUTER_API_KEY is a management key, which cannot chat")
	}
	_, err = money.Parse(x.value("data.usage"))
	return err
}

// created makes a key of the account for one function, and deletes it whatever comes of that.
func (c *conversation) created(limit string, use func(secret, path string) error) (err error) {
	x, err := c.request(http.MethodPost, "/keys", manager, fields{"name": "mai live-check " + time.Now().UTC().Format(time.RFC3339),
		"limit": json.Number(limit), "limit_reset": "monthly"})
	if err == nil {
		err = x.want(http.StatusCreated)
	}
	if err != nil {
		return err
	}
	path := "/keys/" + x.value("data.hash")
	defer func() {
		deleted, failed := c.request(http.MethodDelete, path, manager, nil)
		if failed == nil {
			failed = deleted.want(http.StatusOK)
		}
		err = errors.Join(err, failed)
	}()
	return use(x.value("key"), path)
}

// keys goes through the life of a key.
func keys(c *conversation) error {
	err := c.created("0.01", func(_, path string) error {
		patched, err := c.request(http.MethodPatch, path, manager, fields{"limit": json.Number("0.02"), "disabled": true})
		if err == nil {
			err = patched.want(http.StatusOK)
		}
		if err != nil {
			return err
		}
		if patched.value("data.limit") != "0.02" || patched.value("data.disabled") != "true" {
			return fmt.Errorf("limit %s, disabled %s", patched.value("data.limit"), patched.value("data.disabled"))
		}
		got, err := c.request(http.MethodGet, path, manager, nil)
		if err != nil {
			return err
		}
		return got.want(http.StatusOK)
	})
	if err != nil {
		return err
	}
	listed, err := c.request(http.MethodGet, "/keys", manager, nil)
	if err != nil {
		return err
	}
	return listed.want(http.StatusOK)
}

// keyLimit chats with a key whose limit is nothing: 403 in every report from the field, 402 in the documentation.
func keyLimit(c *conversation) error {
	return c.created("0", func(secret, _ string) error {
		x, err := c.request(http.MethodPost, "/chat/completions", secret, ask(model, "Hello", fields{"max_tokens": 16}))
		if err != nil {
			return err
		}
		if x.status != http.StatusForbidden && x.status != http.StatusPaymentRequired {
			return x.want(http.StatusForbidden)
		}
		return nil
	})
}

// unaffordable asks for more tokens than the key's limit pays for, which is refused beforehand.
func unaffordable(c *conversation) error {
	return c.created("0.0001", func(secret, _ string) error {
		x, err := c.request(http.MethodPost, "/chat/completions", secret, ask(model, "Hello", fields{"max_tokens": 30000}))
		if err != nil {
			return err
		}
		return x.want(http.StatusPaymentRequired)
	})
}

func credits(c *conversation) error {
	x, err := c.request(http.MethodGet, "/credits", manager, nil)
	if err == nil {
		err = x.want(http.StatusOK)
	}
	if err != nil {
		return err
	}
	_, err = money.Parse(x.value("data.total_usage"))
	return err
}

// activity must not know today.
func activity(c *conversation) error {
	x, err := c.request(http.MethodGet, "/activity", manager, nil)
	if err == nil {
		err = x.want(http.StatusOK)
	}
	if err != nil {
		return err
	}
	if date := x.value("data.0.date"); date >= time.Now().UTC().Format(time.DateOnly) {
		return fmt.Errorf("the first row is of %s, which is not over", date)
	}
	return nil
}
