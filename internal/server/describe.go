package server

import (
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"mai/internal/webapp"
)

// schemas is where a description keeps them.
const schemas = "#/components/schemas/"

// humaProblem is the content type of huma's own errors.
const humaProblem = "application/problem+json"

// openAPI begins the description of the API. All errors have one shape, our own.
func openAPI(version string) huma.Config {
	c := huma.DefaultConfig("mAI", version)
	c.OpenAPIPath, c.DocsPath, c.SchemasPath = "", "", ""
	c.CreateHooks = nil // no $schema links in replies
	c.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"session": {Type: "http", Scheme: "bearer", Description: "The token of a sign-in. Browsers send it as a cookie."},
	}
	c.Components.Schemas.RegisterTypeAlias(reflect.TypeFor[huma.ErrorModel](), reflect.TypeFor[webapp.Problem]())
	c.OnAddOperation = append(c.OnAddOperation, func(_ *huma.OpenAPI, op *huma.Operation) {
		for _, r := range op.Responses {
			if media, ok := r.Content[humaProblem]; ok {
				delete(r.Content, humaProblem)
				r.Content["application/json"] = media
			}
		}
	})
	c.Transformers = append(c.Transformers, tellProblem)
	return c
}

// response describes a reply of JSON of the given type.
func response(api huma.API, description string, of reflect.Type) *huma.Response {
	schema := huma.SchemaFromType(api.OpenAPI().Components.Schemas, of)
	return &huma.Response{Description: description, Content: map[string]*huma.MediaType{"application/json": {Schema: schema}}}
}

// describeNull says of every field that refers to an object whether it can be null instead, which huma leaves out.
func describeNull(registry huma.Registry) {
	for name, schema := range registry.Map() {
		for _, field := range reflect.VisibleFields(registry.TypeFromRef(schemas + name)) {
			key, options, _ := strings.Cut(field.Tag.Get("json"), ",")
			property := schema.Properties[key]
			if field.Type.Kind() == reflect.Pointer && options != "omitempty" && property != nil && property.Ref != "" {
				schema.Properties[key] = &huma.Schema{OneOf: []*huma.Schema{property, {Type: "null"}}}
			}
		}
	}
}
