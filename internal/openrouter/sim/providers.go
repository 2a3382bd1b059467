package sim

import (
	"net/http"
	"slices"
	"strings"
)

// provider is a company that runs models, with what it does to data and to a request whose client has gone. Which
// providers stop, and stop billing, is OpenRouter's published list; the rest is believable, not checked.
type provider struct {
	name         string
	headquarters string   // ISO 3166 country; "" is shown as unknown
	datacenters  []string // ISO 3166 countries
	site         string   // where its policies are; "" for those that no longer serve anything
	stops        bool     // it stops, and stops billing, when the client goes away
	trains       bool     // it may train on what it is sent
	retains      bool     // it keeps what it is sent for a while
}

// providers is what GET /providers lists. Those without a country are named in OpenRouter's lists only.
func providers() []provider {
	list := []provider{
		{name: "OpenAI", headquarters: "US", datacenters: []string{"US"}, site: "openai.com", stops: true, retains: true},
		{name: "Azure", headquarters: "US", datacenters: []string{"US", "SE"}, site: "azure.microsoft.com", stops: true},
		{name: "Anthropic", headquarters: "US", datacenters: []string{"US"}, site: "anthropic.com", stops: true, retains: true},
		{name: "Amazon Bedrock", headquarters: "US", datacenters: []string{"US", "DE"}, site: "aws.amazon.com"},
		{name: "Google", headquarters: "US", datacenters: []string{"US", "BE", "NL"}, site: "cloud.google.com"},
		{name: "Google AI Studio", headquarters: "US", datacenters: []string{"US"}, site: "ai.google.dev", retains: true},
		{name: "Mistral", headquarters: "FR", datacenters: []string{"FR", "SE"}, site: "mistral.ai", retains: true},
		{name: "DeepSeek", headquarters: "CN", datacenters: []string{"CN"}, site: "deepseek.com", stops: true, trains: true, retains: true},
		{name: "xAI", headquarters: "US", datacenters: []string{"US"}, site: "x.ai", stops: true, retains: true},
		{name: "Alibaba", headquarters: "SG", datacenters: []string{"SG"}, site: "alibabacloud.com", retains: true},
		{name: "Perplexity", headquarters: "US", datacenters: []string{"US"}, site: "perplexity.ai", retains: true},
		{name: "Together", headquarters: "US", datacenters: []string{"US"}, site: "together.ai", stops: true},
		{name: "Fireworks", headquarters: "US", datacenters: []string{"US", "DE"}, site: "fireworks.ai", stops: true},
		{name: "DeepInfra", headquarters: "US", datacenters: []string{"US"}, site: "deepinfra.com", stops: true},
		{name: "Novita", headquarters: "US", datacenters: []string{"US", "SG"}, site: "novita.ai", stops: true},
		{name: "Groq", headquarters: "US", datacenters: []string{"US", "FI"}, site: "groq.com"},
		{name: "Nebius", headquarters: "NL", datacenters: []string{"FI", "FR"}, site: "nebius.com"},
		{name: "SambaNova", headquarters: "US", datacenters: []string{"US", "JP"}, site: "sambanova.ai"},
		{name: "Cohere", headquarters: "CA", datacenters: []string{"US"}, site: "cohere.com", stops: true, retains: true},
		{name: "Cloudflare", headquarters: "US", datacenters: []string{"US"}, site: "cloudflare.com", stops: true},
		{name: "Friendli", headquarters: "US", datacenters: []string{"US"}, site: "friendli.ai", stops: true},
		{name: "Chutes", headquarters: "US", datacenters: []string{"US"}, site: "chutes.ai", stops: true, trains: true, retains: true},
	}
	for _, name := range strings.Split("Mancer,Recursal,AnyScale,Lepton,OctoAI,Hyperbolic,Infermatic,Avian,SF Compute,Nineteen,Liquid", ",") {
		list = append(list, provider{name: name, stops: true})
	}
	for _, name := range strings.Split("Modal,Minimax,HuggingFace,Replicate,AI21,Featherless,Lynn,Lambda,Reflection,Inflection,01.AI,"+
		"AionLabs,Kluster,Targon,InferenceNet", ",") {
		list = append(list, provider{name: name})
	}
	return list
}

// slug is the name of a provider in requests, such as "google-ai-studio". Google's cloud has a name of its own.
func (p provider) slug() string {
	if p.name == "Google" {
		return "google-vertex"
	}
	return strings.ReplaceAll(strings.ToLower(p.name), " ", "-")
}

// called says whether a name in a request means this provider: its slug, its display name, or a slug with a region or
// a quantization behind it, such as "azure/eu".
func (p provider) called(name string) bool {
	base, _, _ := strings.Cut(strings.ToLower(name), "/")
	return base == p.slug() || strings.EqualFold(base, p.name)
}

func providerNamed(name string) (provider, bool) {
	list := providers()
	at := slices.IndexFunc(list, func(p provider) bool { return p.called(name) })
	if at < 0 {
		return provider{}, false
	}
	return list[at], true
}

func (p provider) show() map[string]any {
	shown := map[string]any{"name": p.name, "slug": p.slug(), "headquarters": nil, "datacenters": nil,
		"privacy_policy_url": nil, "terms_of_service_url": nil, "status_page_url": nil}
	if p.site != "" {
		shown["headquarters"], shown["datacenters"] = p.headquarters, p.datacenters
		shown["privacy_policy_url"] = "https://" + p.site + "/privacy"
		shown["terms_of_service_url"] = "https://" + p.site + "/terms"
		shown["status_page_url"] = "https://status." + p.site
	}
	return shown
}

// listProviders answers GET /providers, which needs no key.
func (s *Server) listProviders(w http.ResponseWriter, _ *http.Request) {
	data := []any{}
	for _, p := range providers() {
		data = append(data, p.show())
	}
	writeJSON(w, http.StatusOK, map[string]any{"data": data})
}
