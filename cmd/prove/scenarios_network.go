package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"
)

// phase is what a network does for a while, and what becomes of the calls then.
type phase struct {
	name          string
	cut           cut
	frozen        time.Duration // nothing passes for this time, beginning a little after the calls
	ask           directive
	stream, plain ending
	unsent        bool // the calls never reach OpenRouter, and the server cannot know that
}

// phases are the cuts. A reply's headers have some 400 bytes, a streamed answer 4,000, a plain one 1,300.
func phases() []phase {
	quick, slow := directive{Tokens: 12}, directive{Tokens: 12, DelayMS: 80}
	return []phase{
		{name: "nobody listens", cut: cut{refuse: true}, ask: quick, stream: free, plain: free},
		{name: "requests vanish", cut: cut{swallow: true}, ask: quick, stream: lost, plain: lost, unsent: true},
		{name: "replies vanish", cut: cut{mute: true}, ask: quick, stream: lost, plain: lost},
		{name: "reset before the reply", cut: cut{reset: true, after: 1}, ask: quick, stream: lost, plain: lost},
		{name: "reset within the reply", cut: cut{reset: true, after: 900}, ask: quick, stream: broken, plain: broken},
		{name: "closed before the reply", cut: cut{close: true, after: 1}, ask: quick, stream: lost, plain: lost},
		{name: "half-closed within the reply", cut: cut{close: true, after: 900}, ask: quick, stream: broken, plain: broken},
		{name: "half a second late", cut: cut{delay: 500 * time.Millisecond}, ask: quick, stream: paid, plain: paid},
		{name: "a second of nothing", frozen: time.Second, ask: slow, stream: paid, plain: paid},
		// A plain answer may take as long as the model thinks; a stream that falls silent does not.
		{name: "4 s of nothing within the answer", frozen: 4 * time.Second, ask: slow, stream: broken, plain: paid},
		{name: "3 s of nothing while the cost is asked for", frozen: 3 * time.Second, stream: later, plain: later,
			ask: directive{Tokens: 12, Fault: "no_usage", Generation404MS: 700}},
	}
}

// network: the connections to OpenRouter are cut in every way, and heal.
func (p *proof) network(ctx context.Context, res *results) error {
	w, err := p.newWorld(ctx, "network cuts")
	if err != nil {
		return err
	}
	proxy, err := newFaultProxy(ctx, hostOf(w.sim.url), nil)
	if err != nil {
		return err
	}
	defer proxy.shut()
	defer w.close()
	w.env = []string{hurried}
	w.predict.hidden = true
	if w.base, err = proxy.via(w.sim.url); err == nil {
		err = w.begin(ctx)
	}
	if err != nil {
		return err
	}
	r := res.add(w.name)
	var faults []fault
	for _, ph := range phases() {
		faults = append(faults, fault{ph.name, ph.ask, ph.stream, ph.plain})
	}
	all := trials(faults)
	if err := w.client.call(ctx, http.MethodGet, "/api/v1/models", nil, nil); err != nil { // the list is kept from here on
		return fmt.Errorf("through the proxy: %w", err)
	}
	for i, ph := range phases() {
		if err := w.suffer(ctx, r, proxy, ph, all[3*i:3*i+3]); err != nil {
			return err
		}
	}
	w.conclude(ctx, r, all)
	r.note = fmt.Sprintf("%d cuts × %d ways", len(phases()), 3)
	return nil
}

// suffer meets trials during a phase, and heals the network.
func (w *world) suffer(ctx context.Context, r *row, proxy *faultProxy, ph phase, all []*trial) error {
	if err := proxy.set(ph.cut); err != nil {
		return err
	}
	healed := make(chan struct{})
	go func() {
		defer close(healed)
		if ph.frozen == 0 || pause(ctx, 300*time.Millisecond) != nil {
			return
		}
		heal := proxy.freeze()
		_ = pause(ctx, ph.frozen) // either way it heals
		heal()
	}()
	if ph.unsent {
		w.predict.unsent += len(all)
	}
	w.meet(ctx, r, all)
	<-healed
	if ph.stream == paid { // then a chat is given a title, which must not be cut off
		if err := w.settle(ctx); err != nil {
			r.found.add(inHeld, "%v", err)
		}
	}
	return proxy.set(cut{})
}

// certificates are what a TLS server of the proof can show. The first is right, the others are not.
type certificates struct {
	authority string // PEM
	shown     [3]tls.Certificate
	now       atomic.Int64
}

// The certificates by number.
const (
	rightCertificate = iota
	expiredCertificate
	foreignCertificate // of another host
)

func newCertificates() (*certificates, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	root := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Proof"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, root, root, key.Public(), key)
	if err != nil {
		return nil, err
	}
	c := &certificates{authority: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))}
	for i := range c.shown {
		leaf := &x509.Certificate{SerialNumber: big.NewInt(int64(2 + i)), NotBefore: root.NotBefore, NotAfter: root.NotAfter,
			IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
		switch i {
		case expiredCertificate:
			leaf.NotAfter = time.Now().Add(-time.Minute)
		case foreignCertificate:
			leaf.IPAddresses, leaf.DNSNames = nil, []string{"elsewhere.example.com"}
		}
		der, err := x509.CreateCertificate(rand.Reader, leaf, root, key.Public(), key)
		if err != nil {
			return nil, err
		}
		c.shown[i] = tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	}
	return c, nil
}

// encryption: a certificate that is right, expired, and another host's; and a host that does not exist.
func (p *proof) encryption(ctx context.Context, res *results) error {
	certs, err := newCertificates()
	if err != nil {
		return err
	}
	w, err := p.newWorld(ctx, "certificates")
	if err != nil {
		return err
	}
	defer w.close()
	trusted := filepath.Join(w.dir, "authority.pem")
	if err := os.WriteFile(trusted, []byte(certs.authority), 0o600); err != nil {
		return err
	}
	proxy, err := newFaultProxy(ctx, hostOf(w.sim.url), &tls.Config{MinVersion: tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &certs.shown[certs.now.Load()], nil }})
	if err != nil {
		return err
	}
	defer proxy.shut()
	w.env = []string{hurried, "SSL_CERT_FILE=" + trusted}
	if w.base, err = proxy.via(w.sim.url); err == nil {
		err = w.begin(ctx)
	}
	if err != nil {
		return err
	}
	r := res.add(w.name)
	all := trials([]fault{same("right", paid, directive{Tokens: 12}), same("expired", free, directive{Tokens: 12}), same("of another host", free, directive{Tokens: 12})})
	for i := range certs.shown {
		certs.now.Store(int64(i))
		if err := proxy.set(cut{}); err != nil { // every call makes a connection of its own
			return err
		}
		w.meet(ctx, r, all[3*i:3*i+3])
		if err := w.settle(ctx); err != nil { // the chat is given a title, which must not be cut off
			r.found.add(inHeld, "%v", err)
		}
	}
	certs.now.Store(rightCertificate)
	w.conclude(ctx, r, all)
	return p.noSuchHost(ctx, res)
}

// noSuchHost: nothing is reserved for a call that cannot even be priced, and the person is told.
func (p *proof) noSuchHost(ctx context.Context, res *results) error {
	w, err := p.newWorld(ctx, "no such host")
	if err != nil {
		return err
	}
	defer w.close()
	w.base = "http://openrouter.invalid/api/v1"
	if err := w.begin(ctx); err != nil {
		return err
	}
	r := res.add(w.name)
	_, err = w.client.complete(ctx, completion{Model: trialModel, Messages: []message{{"user", "Hello."}}})
	refused, ok := errors.AsType[*refusal](err)
	if !ok {
		r.found.add(inLoad, "no refusal but %v", err)
	} else if err := understandable(refused.detail, refused); err != nil || !mayComeBack(refused.status) || refused.retryAfter == "" {
		r.found.add(inLoad, "%v, %v", refused, err)
	}
	w.audit(ctx, r)
	if len(w.intents) != 0 {
		r.found.add(inBooks, "%d intents", len(w.intents))
	}
	return nil
}
