package sim

import "math/big"

// byokFee is OpenRouter's share of what a provider charges to a key of the account's own, beyond the free allowance.
const byokFee = "0.05"

// The ways of bringing an own provider key, for Directive.BYOK and Key.BYOK.
const (
	byokFree = "free" // within the monthly allowance: OpenRouter takes nothing
	byokPays = "fee"  // above it: OpenRouter takes byokFee
)

// exaSearch is the price of one web search where the model has none of its own, in USD.
const exaSearch = "0.007"

func (g *generation) byok() bool { return g.byokMode != "" }

// cachedTokens are the prompt tokens the provider read from its own cache, which it sells cheaper.
func (g *generation) cachedTokens() int {
	if g.directive.CachedTokens == nil {
		return 0
	}
	return min(*g.directive.CachedTokens, g.promptTokens)
}

// imageTokensOf is how many of the completion tokens billed are the picture, which comes after the text.
func (g *generation) imageTokensOf(billed int) int {
	return max(0, min(g.imageTokens, billed-(g.tokens-g.imageTokens)))
}

// tokenCosts is what the provider takes for the tokens, the fee for the request within the prompt's.
func (g *generation) tokenCosts(billed int) (prompt, completion *big.Rat) {
	times := func(price *big.Rat, count int) *big.Rat { return new(big.Rat).Mul(price, big.NewRat(int64(count), 1)) }
	cached, images := g.cachedTokens(), g.imageTokensOf(billed)
	prompt = times(g.rates.prompt, g.promptTokens-cached)
	prompt.Add(prompt, times(g.rates.cacheRead, cached)).Add(prompt, g.rates.request)
	completion = times(g.rates.completion, billed-images)
	return prompt, completion.Add(completion, times(g.rates.imageOutput, images))
}

// toolCost is the fee for server tools. It is part of the cost and of no token count.
func (g *generation) toolCost() *big.Rat {
	each := g.rates.webSearch
	if each.Sign() == 0 {
		each = rat(exaSearch)
	}
	return new(big.Rat).Mul(each, big.NewRat(int64(g.searches), 1))
}

// searchesNatively says whether the model's provider searches the web itself. Then the fee is part of what the provider
// takes; Exa's fee is not, and OpenRouter books it apart. Both were recorded, in August 2026.
func (g *generation) searchesNatively() bool { return g.rates.webSearch.Sign() > 0 }

// searchDetails is the server_tool_use_details: who searches natively counts searches, OpenRouter counts the calls of its
// own tools, and its plugin counts nothing.
func (g *generation) searchDetails() map[string]int {
	details := map[string]int{}
	if g.searches > 0 && (g.searchesNatively() || g.searchesByTool) {
		details["web_search_requests"] = g.searches
	}
	if g.searches > 0 && g.searchesByTool && !g.searchesNatively() {
		details["tool_calls_requested"], details["tool_calls_executed"] = g.searches, g.searches
	}
	return details
}

// insured says whether OpenRouter's zero completion insurance makes the tokens free: an error, or nothing made and no
// word why. Server tools that ran are paid for all the same.
func (g *generation) insured(state string, completionTokens int) bool {
	failed := state == "error" && g.fault.billedStatus == 0
	return failed || state == "finished" && completionTokens == 0 && g.finishReason == ""
}

// settle works out what a generation costs the account and what its provider took, and how many completion tokens count.
func (g *generation) settle(state string, completionTokens int) (cost, upstream *big.Rat, billed int) {
	if g.cachedFrom != "" {
		return new(big.Rat), new(big.Rat), 0
	}
	tokens := new(big.Rat)
	if g.insured(state, completionTokens) {
		completionTokens = 0
	} else {
		prompt, completion := g.tokenCosts(completionTokens)
		tokens.Add(prompt, completion)
	}
	tools := g.toolCost()
	upstream = tokens
	if g.searchesNatively() {
		upstream = new(big.Rat).Add(tokens, tools)
	}
	cost = new(big.Rat).Add(tokens, tools)
	switch g.byokMode {
	case byokFree:
		cost = tools
	case byokPays:
		cost = new(big.Rat).Add(new(big.Rat).Mul(tokens, rat(byokFee)), tools)
	}
	if g.directive.Cost != "" {
		cost = rat(g.directive.Cost)
		if !g.byok() {
			upstream = cost
		}
	}
	return cost, upstream, completionTokens
}
