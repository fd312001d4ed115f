import { needs } from '../testing/need.ts';
import { openDockerRegistry } from '../testing/repository/docker-registry.ts';
import { testRepository } from '../testing/repository.ts';

/** The suite against the registry that everybody knows, version 2.8: what it asks is not our invention. */
testRepository({
  name: 'docker-registry',
  skip: needs('docker-registry'),
  lacks: {
    'answers to unsatisfiable ranges': 'its 416 announces a body that does not come',
    'single POST': 'it starts an upload and ignores the body, as the specification allows',
    'chunk order': 'Content-Range is not looked at',
    'resumption in mid-chunk': 'status needs the state parameter of the last finished chunk',
    'manifest validation': 'an empty object is 500',
    'manifest size limit': 'it answers 400',
    'foreign layers': 'OCI’s are asked for',
    'sha512 manifests': 'manifests are sha256',
    'ordered pages of tags': 'tags come as the directory lists them, all at once',
    'referrers API': 'version 1.1 of the specification is newer',
    'deletion of tags': 'manifests are deleted by digest only',
    'whole repositories': 'what a manifest references can be deleted',
    'checked names': 'redirects, errors and upper case',
    'checked digests': 'a manifest’s is 500',
  },
  open: openDockerRegistry,
});
