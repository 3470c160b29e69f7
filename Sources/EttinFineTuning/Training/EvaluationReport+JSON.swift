import EttinEvaluation
import EttinJSON

extension EvaluationReport {
    /// The report as a checkpoint keeps it.
    var json: JSONValue {
        [
            "evaluator": .string(evaluator), "description": .string(description), "name": .string(name),
            "primary_metric": .string(primaryMetric),
            "metrics": .object(JSONObject(metrics.map { ($0.key, JSONValue($0.value)) })),
            "settings": .object(settings),
        ]
    }

    /// Takes the report of a checkpoint.
    ///
    /// - Parameter json: What ``json`` was; nil comes of anything else.
    init?(_ json: JSONValue) {
        guard let evaluator = json["evaluator"]?.stringValue, let description = json["description"]?.stringValue,
            let name = json["name"]?.stringValue, let primaryMetric = json["primary_metric"]?.stringValue,
            let metrics = json["metrics"]?.objectValue, let settings = json["settings"]?.objectValue
        else { return nil }
        self.init(
            evaluator: evaluator,
            description: description,
            name: name,
            primaryMetric: primaryMetric,
            // NaN is null in the file.
            metrics: metrics.map { ($0.key, $0.value.doubleValue ?? .nan) },
            settings: settings
        )
    }
}
