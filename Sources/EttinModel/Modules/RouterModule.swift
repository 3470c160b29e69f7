import EttinFiles
import EttinJSON
package import Torch

/// Several chains of modules, of which each text takes one: a light one for queries, say, and another for documents.
///
/// > Source: sentence-transformers `base/modules/router.py`.
package final class RouterModule: Module, FeatureModule {
    package static let classPath = "sentence_transformers.models.Router"
    package static let newClassPath: String? = "sentence_transformers.base.modules.router.Router"
    package static let otherClassNames = ["Asym"]
    package static let readsTokens = true

    /// One chain.
    package struct Route {
        /// The name, mostly that of a task.
        package let name: String
        /// The modules.
        package let modules: [any FeatureModule]
    }

    /// The route that the settings name for a task; nil for any.
    struct Mapping: Hashable {
        let task: String?
        let isForText: Bool
        let route: String
        /// As the file has it.
        let key: String
    }

    static let file = "router_config.json"

    /// The chains, in the order of the file.
    package let routes: [Route]
    /// The chain of texts without a task; nil where they need one.
    package let defaultRoute: String?
    private let mappings: [Mapping]
    @Child("sub_modules") private var parts: RouteParts

    init(_ routes: [Route], defaultRoute: String?, mappings: [Mapping] = []) {
        self.routes = routes
        self.defaultRoute = defaultRoute
        self.mappings = mappings
        super.init()
        parts = RouteParts(routes: routes)
    }

    /// Makes a module of routes.
    ///
    /// - Parameters:
    ///   - routes: The chains, at least one.
    ///   - defaultRoute: The chain of texts without a task; nil for the first.
    package convenience init(_ routes: [Route], defaultRoute: String? = nil) {
        self.init(routes, defaultRoute: defaultRoute ?? routes.first?.name, mappings: [])
    }

    // MARK: - Routes

    /// The route of a task.
    ///
    /// - Parameter task: What the texts are to the task, `query` or `document`; nil when the caller does not say.
    /// - Returns: The route; nil when there is none.
    package func route(for task: String?) -> Route? {
        let places: [(String?, Bool)] = [(task, true), (task, false), (nil, true), (nil, false)]
        let mapped = places.lazy.compactMap { task, isForText in
            self.mappings.first { $0.task == task && $0.isForText == isForText }?.route
        }.first
        let names = routes.map(\.name)
        let name = mapped ?? (task.map(names.contains) == true ? task : names.first { $0 == "text" })
        if let name { return routes.first { $0.name == name } }
        return task == nil ? routes.first { $0.name == defaultRoute } : nil
    }

    /// The route of a task.
    ///
    /// - Throws: `CheckpointError` when there is none.
    private func requiredRoute(_ task: String?) throws -> Route {
        if let route = route(for: task) { return route }
        throw CheckpointError(
            .unsupported,
            file: Self.file,
            found: "has no route for \(task.map { "the task " + quoted($0) } ?? "texts without a task")",
            expected: "one of the tasks \(listing(routes.map(\.name), limit: 10))"
        )
    }

    package func input(for task: String?) throws -> ModuleInput? { try requiredRoute(task).modules[0].input(for: task) }

    // MARK: - Files

    /// The file of a Router's settings, which early versions called `config.json`.
    ///
    /// - Parameter folder: The Router's folder.
    /// - Returns: The name of the file.
    static func settingsFile(folder: String) -> String {
        let isEarly =
            !FilePath.exists(FilePath.joined(folder, file))
            && FilePath.exists(FilePath.joined(folder, "config.json"))
        return isEarly ? "config.json" : file
    }

    /// What the settings say, before any module is read.
    struct Plan {
        /// A module by its folder below the Router's, its kind and its class path.
        typealias Part = (id: String, kind: any FeatureModule.Type, type: String)
        let routes: [(name: String, modules: [Part])]
        let defaultRoute: String?
        let mappings: [Mapping]
    }

    package static func read(_ folder: FeatureModuleFolder) throws -> RouterModule {
        let plan = try plan(folder)
        var modules: [String: any FeatureModule] = [:]
        let routes = try plan.routes.map { name, entries in
            let chain = try entries.map { id, kind, type -> any FeatureModule in
                if let module = modules[id] { return module }
                var part = folder
                part.name = folder.name.isEmpty ? id : FilePath.joined(folder.name, id)
                part.type = type
                let module = try kind.read(part)
                modules[id] = module
                return module
            }
            return Route(name: name, modules: chain)
        }
        return RouterModule(routes, defaultRoute: plan.defaultRoute, mappings: plan.mappings)
    }

    /// Reads the settings of a Router.
    ///
    /// - Parameter folder: Where the Router's files are.
    /// - Returns: The modules that it names, and which texts take which route.
    /// - Throws: `CheckpointError` with everything that is wrong.
    static func plan(_ folder: FeatureModuleFolder) throws -> Plan {
        var fields = try folder.settings(settingsFile(folder: folder.path), isRequired: true)
        let types = fields.value("types")?.objectValue ?? [:]
        let structure = fields.value("structure")?.objectValue ?? [:]
        let parameters = fields.value("parameters") ?? [:]
        if structure.isEmpty { fields.refuse("structure", "is not there or empty", expected: "names of routes") }
        var routes: [(name: String, modules: [Plan.Part])] = []
        for (name, list) in structure.map({ ($0.key, $0.value) }) {
            let ids = list.arrayValue?.compactMap(\.stringValue) ?? []
            guard !ids.isEmpty, ids.count == list.arrayValue?.count else {
                fields.refuse("structure", "has \(list.text()) for \(quoted(name))", expected: "a list of modules")
                continue
            }
            var modules: [Plan.Part] = []
            for (index, id) in ids.enumerated() {
                guard let type = types[id]?.stringValue else {
                    fields.refuse("types", "does not have \(quoted(id))", expected: "the class of each module")
                    continue
                }
                guard FilePath.isPlainName(id) else {
                    fields.refuse("structure", "has the module \(quoted(id))", expected: "a folder of the model")
                    continue
                }
                let kind = try FeatureModules.kind(
                    ofClass: type,
                    isFirst: index == 0,
                    file: fields.file,
                    item: "module \(quoted(id))",
                    isOnRoute: true
                )
                guard kind != RouterModule.self else {
                    fields.refuse("types", "has the Router \(quoted(id))", expected: "no Router within a Router")
                    continue
                }
                modules.append((id, kind, type))
            }
            routes.append((name, modules))
        }
        let names = structure.keys
        let given = parameters["default_route"]?.stringValue
        let takesFirst = parameters["allow_empty_key"]?.boolValue ?? true
        if let given, !names.isEmpty, !names.contains(given) {
            fields.refuse("default_route", "is \(quoted(given))", expected: listing(names, limit: 10))
        }
        let mappings =
            names.isEmpty ? [] : Self.mappings(parameters["route_mappings"]?.objectValue ?? [:], names, &fields)
        guard fields.problems.isEmpty else { throw CheckpointError(fields.problems) }
        return Plan(routes: routes, defaultRoute: given ?? (takesFirst ? names.first : nil), mappings: mappings)
    }

    /// Reads keys such as `('query', 'text')` and `(None, None)`, tuples of task and modality in Python's spelling.
    private static func mappings(
        _ object: JSONObject,
        _ names: [String],
        _ fields: inout ConfigurationFields
    ) -> [Mapping] {
        object.compactMap { member in
            let (key, value) = (member.key, member.value)
            let parts = key.drop { $0 == "(" }.prefix { $0 != ")" }.split(separator: ",").map {
                $0.trimmingPrefix { $0 == " " }
            }
            func text(_ part: Substring) -> String? { part == "None" ? nil : String(part.dropFirst().dropLast()) }
            guard let route = value.stringValue, names.contains(route), parts.count >= 2 else {
                fields.refuse("route_mappings", "has \(value.text()) for \(quoted(key))", expected: "a route")
                return nil
            }
            // Other modalities than text, and several at once, are nothing that comes here.
            let modality = text(parts[1])
            guard parts.count == 2, modality == nil || modality == "text" else { return nil }
            return Mapping(task: text(parts[0]), isForText: modality != nil, route: route, key: key)
        }
    }

    package func connect(_ shapes: inout FeatureShapes) throws {
        let place = shapes.place
        let ends = try routes.map { route -> (name: String, shapes: FeatureShapes) in
            var ends = FeatureShapes(before: place, shapes)
            for (index, module) in route.modules.enumerated() {
                let item = "module \(index) of the route \(quoted(route.name)), \(type(of: module).className),"
                ends = FeatureShapes(before: item, ends)
                try module.connect(&ends)
            }
            return (route.name, ends)
        }
        shapes = try FeatureShapes(place, joining: ends)
    }

    package func callAsFunction(_ features: inout ModuleFeatures, training: DropoutContext?, precision: Precision) {
        guard let route = route(for: features.task) else {
            preconditionFailure("there is no route for \(features.task ?? "texts without a task")")
        }
        for module in route.modules { module(&features, training: training, precision: precision) }
    }

    package func write(_ folder: FeatureModuleFolder) throws {
        var (types, structure): (JSONObject, JSONObject) = ([:], [:])
        var names: [ObjectIdentifier: String] = [:]
        for route in routes {
            var ids: [JSONValue] = []
            for (index, module) in route.modules.enumerated() {
                if names[ObjectIdentifier(module)] == nil {
                    let name = "\(route.name)_\(index)_\(FeatureModules.className(ofPath: module.classPath))"
                    names[ObjectIdentifier(module)] = name
                    types[name] = .string(module.classPath)
                    var part = folder
                    part.name = folder.name.isEmpty ? name : FilePath.joined(folder.name, name)
                    try CheckpointError.translating { try FilePath.makeFolder(part.path) }
                    try module.write(part)
                }
                ids.append(.string(names[ObjectIdentifier(module)] ?? ""))
            }
            structure[route.name] = .array(ids)
        }
        let mappings = JSONObject(mappings.map { ($0.key, .string($0.route)) })
        try folder.write(
            [
                "types": .object(types), "structure": .object(structure),
                "parameters": [
                    "default_route": defaultRoute.map(JSONValue.string) ?? .null, "allow_empty_key": true,
                    "route_mappings": .object(mappings),
                ],
            ],
            Self.file
        )
    }
}

/// The modules of all routes, with the keys that Python gives them.
private struct RouteParts: ModuleContainer {
    let routes: [RouterModule.Route]

    func modules(under key: String) -> [(key: String, module: Module)] {
        routes.flatMap { route in
            route.modules.enumerated().map { ("\(key).\(route.name).\($0.offset)", $0.element) }
        }
    }
}
