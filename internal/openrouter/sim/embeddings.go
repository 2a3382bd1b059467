package sim

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"io"
	"math"
	"net/http"
)

// dimensions is the length of a vector unless the request says otherwise; maxDimensions is the most.
const dimensions, maxDimensions = 1536, 3072

// embeddingRequest is the body of POST /embeddings.
type embeddingRequest struct {
	Model          string          `json:"model"`
	Input          json.RawMessage `json:"input"`
	EncodingFormat string          `json:"encoding_format"`
	Dimensions     int             `json:"dimensions"`
	User           string          `json:"user"`
	Provider       preferences     `json:"provider"`
}

// inputs are the texts to embed. Tokens given as numbers are taken for text of their own.
func (r embeddingRequest) inputs() []string {
	var one string
	var several []string
	var raw []json.RawMessage
	switch {
	case json.Unmarshal(r.Input, &one) == nil && one != "":
		return []string{one}
	case json.Unmarshal(r.Input, &several) == nil:
		return several
	case json.Unmarshal(r.Input, &raw) == nil && len(raw) > 0 && raw[0][0] != '[' && raw[0][0] != '{':
		return []string{string(r.Input)}
	}
	for _, item := range raw {
		several = append(several, string(item))
	}
	return several
}

// embed answers POST /embeddings. The first input may hold a directive.
func (s *Server) embed(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		writeError(w, statusError(413))
		return
	}
	s.record(r, body)
	var request embeddingRequest
	g, texts, fail := s.admitEmbedding(r, body, &request)
	if fail != nil {
		writeError(w, *fail)
		return
	}
	if !s.begin(w, g) {
		return
	}
	s.finish(g, "finished", 0)
	data := []any{}
	for i, text := range texts {
		data = append(data, map[string]any{"object": "embedding", "index": i, "embedding": s.vector(g.model.id+text, request)})
	}
	account := g.usage()
	usage := map[string]any{"prompt_tokens": g.promptTokens, "total_tokens": g.promptTokens, "cost": account.Cost,
		"is_byok": account.IsBYOK, "cost_details": account.CostDetails}
	writeJSON(w, http.StatusOK, map[string]any{"id": g.id, "object": "list", "data": data, "model": g.model.servedAs(),
		"provider": g.model.provider, "usage": usage})
}

func (s *Server) admitEmbedding(r *http.Request, body []byte, request *embeddingRequest) (*generation, []string, *apiError) {
	a, fail := s.payer(r)
	if fail != nil {
		return nil, nil, fail
	}
	if json.Unmarshal(body, request) != nil {
		return nil, nil, badRequest("Invalid JSON body")
	}
	texts := request.inputs()
	known := map[string]bool{"": true, "float": true, "base64": true}
	if len(texts) == 0 || request.Model == "" || !known[request.EncodingFormat] || request.Dimensions < 0 || request.Dimensions > maxDimensions {
		return nil, nil, badRequest("Invalid request parameters")
	}
	g := &generation{account: a, key: a.hash, kind: "embeddings", user: request.User, region: s.region(r), finishReason: "stop"}
	var messages []message
	for _, text := range texts {
		messages = append(messages, message{Role: "user", Content: marshal(text)})
	}
	// The directive of the first text counts, so it is read as the last.
	prompt, err := g.read(append(messages[1:len(messages):len(messages)], messages[0]))
	if err != nil {
		return nil, nil, badRequest("%v", err)
	}
	texts[0] = prompt.text
	chat := chatRequest{Model: request.Model, Provider: request.Provider}
	if fail := s.choose(r, chat, g); fail != nil {
		return nil, nil, fail
	}
	if err := s.steer(g, chat); err != nil {
		return nil, nil, badRequest("%v", err)
	}
	g.rates = g.model.rates(g.promptTokens)
	if fail := g.refusal(); fail != nil {
		return nil, nil, fail
	}
	return g, texts, s.affordable(g, 0)
}

// vector is a unit vector drawn from the text, as numbers or as the base64 of little-endian 32-bit floats.
func (s *Server) vector(text string, request embeddingRequest) any {
	length := request.Dimensions
	if length == 0 {
		length = dimensions
	}
	state, values, square := s.draw(text)|1, make([]float32, length), 0.0
	for i := range values {
		state ^= state << 13
		state ^= state >> 7
		state ^= state << 17
		values[i] = float32(int64(state%2001)-1000) / 1000
		square += float64(values[i]) * float64(values[i])
	}
	for i := range values {
		values[i] /= float32(math.Sqrt(square))
	}
	if request.EncodingFormat != "base64" {
		return values
	}
	var raw []byte
	for _, value := range values {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(value))
	}
	return base64.StdEncoding.EncodeToString(raw)
}

// listEmbeddingModels answers GET /embeddings/models.
func (s *Server) listEmbeddingModels(w http.ResponseWriter, r *http.Request) {
	s.writeModels(w, r, s.producing(r, "embeddings"))
}
