import Synchronization

/// A part of a model: parameters and sub-modules under their checkpoint names.
///
/// Subclasses declare parameters with ``Parameter`` and parts with ``Child``; the key each is given is exactly its part
/// of the checkpoint key, so a checkpoint loads without a rename table:
///
/// ```swift
/// final class Attention: Module {
///     @Child("Wqkv") var qkv: Linear
///     @Child("Wo") var output: Linear
/// }
/// ```
///
/// The tree is walked when its parameters are first asked for, and again only when a part or a parameter of any tree has
/// been put in another's place since, as attaching an ``Adapter`` does.
open class Module {
    private var walked: ModuleWalk?

    /// Creates a module; subclasses assign their parameters and children first.
    public init() {}

    /// Every module of the tree with its key, in order of declaration: itself under the empty key, then its parts.
    ///
    /// A part that is declared without a key has that of the module it is part of.
    public final func modules() -> [(key: String, module: Module)] {
        [("", self)] + walk.modules.compactMap { entry in entry.module.map { (entry.key, $0) } }
    }

    /// Every parameter with its full key, in order of declaration.
    public final var parameters: [(key: String, tensor: Tensor)] {
        parameterReferences.map { ($0.key, $0.reference.tensor) }
    }

    /// The number of values in all parameters.
    public final var parameterCount: Int {
        parameters.reduce(0) { $0 + $1.tensor.elementCount }
    }

    /// The parameters that gradients are recorded for, which are those an optimizer updates.
    public final var trainedParameters: StateDictionary { parameters.filter(\.tensor.requiresGradient) }

    /// The parameters of attached adapters.
    public final var adapterParameters: StateDictionary {
        let adapterKeys = walk.adapterKeys
        return parameters.filter { adapterKeys.contains($0.key) }
    }

    /// The parameters without those of attached adapters: what the checkpoint of a model holds.
    public final var baseParameters: StateDictionary {
        let adapterKeys = walk.adapterKeys
        return parameters.filter { !adapterKeys.contains($0.key) }
    }

    /// The parameter cells of the tree: one walk by reflection, kept while no declaration changes, so that a pass that
    /// asks for them does not reflect.
    package final var parameterReferences: [(key: String, reference: ParameterReference)] {
        walk.parameters.compactMap { entry in entry.reference.map { (entry.key, $0) } }
    }

    /// The keys of the parameters of attached adapters.
    package final var adapterKeys: Set<String> { walk.adapterKeys }

    private var walk: ModuleWalk {
        let revision = ModuleWalk.revision.load(ordering: .relaxed)
        if let walked, walked.revision == revision { return walked }
        var walk = ModuleWalk(revision: revision)
        collect(prefix: "", isAdapter: false, into: &walk)
        walked = walk
        return walk
    }

    private func collect(prefix: String, isAdapter: Bool, into walk: inout ModuleWalk) {
        let isAdapter = isAdapter || self is any Adapter
        var mirrors: [Mirror] = []
        var mirror: Mirror? = Mirror(reflecting: self)
        while let current = mirror {
            mirrors.insert(current, at: 0)
            mirror = current.superclassMirror
        }
        for child in mirrors.flatMap(\.children) {
            if let parameter = child.value as? any ParameterDeclaration {
                guard let reference = parameter.reference else { continue }
                walk.parameters.append(ModuleWalk.Parameter(key: prefix + parameter.key, reference: reference))
                if isAdapter { walk.adapterKeys.insert(prefix + parameter.key) }
            } else if let part = child.value as? any ChildDeclaration {
                for (key, module) in part.modules {
                    let below = key.isEmpty ? prefix : prefix + key + "."
                    walk.modules.append(ModuleWalk.Part(key: String(below.dropLast()), module: module))
                    module.collect(prefix: below, isAdapter: isAdapter, into: &walk)
                }
            }
        }
    }

    /// Converts every parameter to a floating-point type and moves it to a device.
    ///
    /// - Parameters:
    ///   - dtype: The new type; nil keeps each parameter's own.
    ///   - device: The new device.
    public final func convert(to dtype: DType? = nil, on device: Device = .cpu) {
        for (_, reference) in parameterReferences {
            reference.tensor = reference.tensor.to(dtype ?? reference.tensor.dtype, device)
        }
    }

    /// Starts or stops recording gradients of every parameter.
    public final func setRequiresGradient(_ required: Bool) { setRequiresGradient(required) { _ in true } }

    /// Starts or stops recording gradients of some parameters; the others stay as they are.
    ///
    /// ```swift
    /// model.setRequiresGradient(false)
    /// model.setRequiresGradient(true) { $0.contains(".lora.") }
    /// ```
    ///
    /// - Parameters:
    ///   - required: Whether gradients are recorded.
    ///   - isIncluded: Whether a parameter is meant, by its full key.
    public final func setRequiresGradient(_ required: Bool, where isIncluded: (_ key: String) -> Bool) {
        for (key, reference) in parameterReferences where isIncluded(key) {
            reference.tensor.setRequiresGradient(required)
        }
    }

    /// Copies the parameters that lie in the memory of a file, so that an optimizer can write all of them.
    package final func copyBorrowedParameters() {
        for (_, reference) in parameterReferences where reference.tensor.isBorrowed {
            reference.tensor = reference.tensor.copy()
        }
    }
}

/// What a walk over a tree of modules found, without the module it started from, which owns the walk.
///
/// The walk owns nothing: an old one must not keep parameters that the tree has given up.
private struct ModuleWalk {
    struct Part {
        let key: String
        weak var module: Module?
    }

    struct Parameter {
        let key: String
        weak var reference: ParameterReference?
    }

    /// Counts the changes of declarations in all trees, because a module does not know those it is part of.
    static let revision = Atomic<UInt64>(0)

    let revision: UInt64
    var modules: [Part] = []
    var parameters: [Parameter] = []
    var adapterKeys: Set<String> = []

    static func noteChange() { revision.wrappingAdd(1, ordering: .relaxed) }
}

// MARK: - Declarations

/// The cell that holds one parameter.
package final class ParameterReference {
    package var tensor: Tensor

    init(_ tensor: Tensor) {
        self.tensor = tensor
    }
}

protocol ParameterDeclaration {
    var key: String { get }
    var reference: ParameterReference? { get }
}

protocol ChildDeclaration {
    /// Sub-modules with their keys below this module.
    var modules: [(key: String, module: Module)] { get }
}

/// What a ``Parameter`` can hold: a tensor, or an optional one that the configuration may leave out.
public protocol ParameterValue {
    /// The value that holds `tensor`; nil when it cannot hold none.
    static func holding(_ tensor: Tensor?) -> Self?
    /// The tensor, or nil when it is left out.
    var heldTensor: Tensor? { get }
}

extension Tensor: ParameterValue {
    /// The value that holds `tensor`, or the absence of one where that is allowed.
    public static func holding(_ tensor: Tensor?) -> Tensor? { tensor }

    /// The tensor, or nil when it is left out.
    public var heldTensor: Tensor? { self }
}

extension Tensor?: ParameterValue {
    /// The value that holds `tensor`, or the absence of one where that is allowed.
    public static func holding(_ tensor: Tensor?) -> Tensor?? { .some(tensor) }

    /// The tensor, or nil when it is left out.
    public var heldTensor: Tensor? { self }
}

/// Declares a learned tensor of a ``Module`` under its checkpoint key.
///
/// The wrapped value is a `Tensor`, or a `Tensor?` for one that the configuration may leave out. It is assigned in the
/// module's initialiser after `super.init()`; optimizers keep the tensor they were given when it is assigned again.
@propertyWrapper
public final class Parameter<Value: ParameterValue>: ParameterDeclaration {
    let key: String
    private(set) var reference: ParameterReference?

    /// Declares a parameter whose last part of the checkpoint key is `key`.
    public init(_ key: String) {
        self.key = key
    }

    /// The declared value; reading it before it is assigned traps.
    public var wrappedValue: Value {
        get {
            guard let value = Value.holding(reference?.tensor) else {
                preconditionFailure("parameter \"\(key)\" is read before it is assigned")
            }
            return value
        }
        set {
            reference = newValue.heldTensor.map(ParameterReference.init)
            ModuleWalk.noteChange()
        }
    }
}

/// What a ``Child`` can hold: a module, an optional one, or a list.
public protocol ModuleContainer {
    /// The modules with their keys, given the key of the declaration.
    func modules(under key: String) -> [(key: String, module: Module)]
}

extension Module: ModuleContainer {
    /// The modules with their keys below `key`.
    public final func modules(under key: String) -> [(key: String, module: Module)] { [(key, self)] }
}

extension Optional: ModuleContainer where Wrapped: Module {
    /// The modules with their keys below `key`.
    public func modules(under key: String) -> [(key: String, module: Module)] { map { [(key, $0)] } ?? [] }
}

extension Array: ModuleContainer where Element: Module {
    /// The modules with their keys below `key`.
    public func modules(under key: String) -> [(key: String, module: Module)] {
        enumerated().map { (key.isEmpty ? "\($0.offset)" : "\(key).\($0.offset)", $0.element) }
    }
}

/// Declares a part of a ``Module`` under its checkpoint key.
///
/// The wrapped value is a `Module`, an optional one (absent parts have no keys), or an array, whose elements are
/// numbered from 0. It is assigned in the module's initialiser after `super.init()`.
@propertyWrapper
public final class Child<Value: ModuleContainer>: ChildDeclaration {
    let key: String
    private var value: Value?

    /// Declares a part whose part of the checkpoint key is `key`; where that is empty, the keys of the part are those of
    /// the module itself.
    public init(_ key: String) {
        self.key = key
    }

    /// The declared value; reading it before it is assigned traps.
    public var wrappedValue: Value {
        get {
            guard let value else { preconditionFailure("part \"\(key)\" is read before it is assigned") }
            return value
        }
        set {
            value = newValue
            ModuleWalk.noteChange()
        }
    }

    var modules: [(key: String, module: Module)] { value?.modules(under: key) ?? [] }
}
