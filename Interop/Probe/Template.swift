// Renders chat templates for the checks in Interop/, which compare them with jinja2 and transformers.
//
// Each line of standard input is {"template": …, "variables": {…}[, "environment": "evaluation_harness"]}; a built-in
// template is {"built_in": NAME, …}. Each answer is {"text": …, "spans": [[start, end], …]} or {"error": …, "kind": …}.

import EttinJSON
import EttinTemplates

func answerTemplateRequest(_ request: JSONValue) throws -> JSONValue {
    let environment: ChatTemplate.Environment =
        request["environment"]?.stringValue == "evaluation_harness" ? .evaluationHarness : .chat
    do {
        let template =
            if let name = request["built_in"]?.stringValue {
                try ChatTemplate.builtIn(name)
            } else {
                try ChatTemplate(request["template"]?.stringValue ?? "", environment: environment)
            }
        let rendered = try template.rendering(request["variables"]?.objectValue ?? [:])
        let spans = rendered.generationSpans.map { JSONValue.array([.init($0.lowerBound), .init($0.upperBound)]) }
        return ["text": .string(rendered.text), "spans": .array(spans)]
    } catch let error as TemplateError {
        return ["error": .string("\(error)"), "kind": .string("\(error.kind)")]
    }
}
