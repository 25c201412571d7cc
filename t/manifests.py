"""Checks Kubernetes manifests; see t/manifests, which has what this needs. Arguments: the files."""
import copy
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

VALIDATE = [str(Path(sys.executable).with_name('kubernetes-validate')), '--strict', '--quiet']


def fits_schema(documents):
    """Whether each of DOCUMENTS is what the schema of its kind says, and has nothing else."""
    with tempfile.NamedTemporaryFile('w', suffix='.yaml') as file:
        yaml.safe_dump_all(documents, file)
        file.flush()
        run = subprocess.run([*VALIDATE, file.name], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return run.returncode == 0, run.stdout


def violations(pod):
    """What the level "restricted" forbids in POD; https://kubernetes.io/docs/concepts/security/pod-security-standards/"""
    found = []
    common = pod.get('securityContext', {})
    for name in ('hostNetwork', 'hostPID', 'hostIPC'):
        if pod.get(name):
            found.append(name)
    for volume in pod.get('volumes', []):
        if not set(volume) - {'name'} <= {'configMap', 'csi', 'downwardAPI', 'emptyDir', 'ephemeral', 'persistentVolumeClaim', 'projected', 'secret'}:
            found.append(f'volume {volume["name"]}')
    for container in pod['containers'] + pod.get('initContainers', []):
        own = container.get('securityContext', {})
        capabilities = own.get('capabilities', {})
        wrong = {
            'privileged': own.get('privileged', False),
            'allowPrivilegeEscalation': own.get('allowPrivilegeEscalation', True),
            'capabilities': 'ALL' not in capabilities.get('drop', []) or set(capabilities.get('add', [])) - {'NET_BIND_SERVICE'},
            'runAsNonRoot': not own.get('runAsNonRoot', common.get('runAsNonRoot', False)),
            'runAsUser': own.get('runAsUser', common.get('runAsUser', 1)) == 0,
            'seccompProfile': own.get('seccompProfile', common.get('seccompProfile', {})).get('type') not in ('RuntimeDefault', 'Localhost'),
            'hostPort': any(port.get('hostPort') for port in container.get('ports', [])),
            # Not of that level, but what we promise.
            'readOnlyRootFilesystem': not own.get('readOnlyRootFilesystem', False),
            'resources': not {'requests', 'limits'} <= set(container.get('resources', {})),
        }
        found += [f'{container["name"]}: {what}' for what, is_wrong in wrong.items() if is_wrong]
    if pod.get('automountServiceAccountToken', True):
        found.append('automountServiceAccountToken')
    return found


passed = failed = 0


def check(good, what, why=''):
    global passed, failed
    print(f'{"ok" if good else "not ok"} - {what}')
    if good:
        passed += 1
    else:
        failed += 1
        print(f'#   Failed test: {what}\n{why}')


for path in sys.argv[1:]:
    documents = list(yaml.safe_load_all(Path(path).read_text(encoding='utf-8')))
    fits, why = fits_schema(documents)
    check(fits, f'{path}: the schemas', why)
    # A check that cannot fail is none.
    wrong = copy.deepcopy(documents)
    wrong[0]['spec']['template']['spec']['containers'][0]['commands'] = ['x']
    check(not fits_schema(wrong)[0], f'{path}: a field that there is not is found')
    pods = [document['spec']['template']['spec'] for document in documents if document['kind'] == 'Deployment']
    check(len(pods) == 1 and violations(pods[0]) == [], f'{path}: restricted', [violations(pod) for pod in pods])
    del pods[0]['containers'][0]['securityContext']['capabilities']
    check(violations(pods[0]) != [], f'{path}: a container that keeps its capabilities is found')
print(f'{passed} passed, {failed} failed, 0 skipped')
sys.exit(failed > 0)
